"""A package index on the loopback: p0, p1, … of one version each, with the headers by which pip keeps pages and files."""
import io, re, zipfile


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


class Index(Handler):
    def keep(self, body, kind, seconds):
        self.reply(body, {"Content-Type": kind, "Cache-Control": f"max-age={seconds}, public"})

    def do_GET(self):
        page = re.fullmatch(r"/simple/(p\d+)/", self.path)
        if page:
            file = f"{page[1]}-1-py3-none-any.whl"
            text = f'<!DOCTYPE html><html><body><a href="/files/{file}">{file}</a></body></html>'
            return self.keep(text.encode(), "text/html", 600)
        file = re.fullmatch(r"/files/(p\d+)-1-py3-none-any.whl", self.path)
        if file:
            return self.keep(wheel(file[1]), "application/octet-stream", 365000000)
        self.reply(b"", {}, 404)


serve(Index)
