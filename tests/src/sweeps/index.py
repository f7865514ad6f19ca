"""A package index on the loopback: p0, p1, … of one version each, with the headers by which pip keeps pages and files.

It prints its port."""
import http.server, io, os, re, sys, threading, zipfile


def wheel(name):
    info = f"{name}-1.dist-info"
    files = {
        f"{name}.py": f"NAME = '{name}'\n" * 2000,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return written.getvalue()


class Index(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, body, kind, seconds, status=200):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", f"max-age={seconds}, public")
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        page = re.fullmatch(r"/simple/(p\d+)/", self.path)
        if page:
            file = f"{page[1]}-1-py3-none-any.whl"
            text = f'<!DOCTYPE html><html><body><a href="/files/{file}">{file}</a></body></html>'
            return self.reply(text.encode(), "text/html", 600)
        file = re.fullmatch(r"/files/(p\d+)-1-py3-none-any.whl", self.path)
        if file:
            return self.reply(wheel(file[1]), "application/octet-stream", 365000000)
        self.reply(b"", "text/plain", 0, 404)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index)
print(server.server_port, flush=True)
# It ends with whoever started it.
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
server.serve_forever()
