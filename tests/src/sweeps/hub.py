"""A hub of Hugging Face's form on the loopback: models m0, m1, … with two files each, one of them the same in all revisions.

A model's revision changes with each third question for it, so that old revisions are left behind."""
import hashlib, json, re

NAMES = ("config.json", "model.bin")
asked = {}


def content(model, name, revision):
    text = f"{model} shared" if name == "config.json" else f"{model} {name} {revision}"
    return (text * 2000).encode()


class Hub(Handler):
    def do_GET(self):
        path = self.path.split("?")[0]
        tree = re.fullmatch(r"/api/models/(.+?)/tree/([0-9a-f]{40})", path)
        if tree:
            model, sha = tree.groups()
            files = [(name, content(model, name, sha)) for name in NAMES]
            answer = [{"type": "file", "path": name, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}
                      for name, body in files]
            return self.reply(json.dumps(answer).encode(), {"Content-Type": "application/json"})
        info = re.fullmatch(r"/api/models/(.+?)(?:/revision/.+)?", path)
        if info:
            model = info[1]
            asked[model] = asked.get(model, 0) + 1
            sha = hashlib.sha1(f"{model} {asked[model] // 3}".encode()).hexdigest()
            files = [{"rfilename": name} for name in NAMES]
            answer = {"id": model, "modelId": model, "sha": sha, "siblings": files, "private": False,
                      "downloads": 0, "likes": 0, "tags": []}
            return self.reply(json.dumps(answer).encode(), {"Content-Type": "application/json"})
        file = re.fullmatch(r"/(.+)/resolve/([0-9a-f]{40})/(.+)", path)
        if file:
            body = content(file[1], file[3], file[2])
            etag = hashlib.sha256(body).hexdigest()
            return self.reply(body, {"ETag": f'"{etag}"', "X-Repo-Commit": file[2], "Accept-Ranges": "bytes"})
        self.reply(b"{}", {}, 404)

    do_HEAD = do_GET


serve(Hub)
