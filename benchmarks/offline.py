"""Make what `asv publish` wrote open anywhere, offline too: `python benchmarks/offline.py FOLDER`.

ASV's page takes its libraries from servers elsewhere and its figures by requests, which a browser
refuses to a page that it opened from a file. So the libraries are put beside it, from npm, and the
figures into a script, `data.js`, that answers these requests. Without npm the libraries stay where
they are, and this says so.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# what a library's address holds -> its npm package, and the file in it
LIBRARIES = {
    "jquery-3": ("jquery@3.3.1", "dist/jquery.min.js"),
    "jquery.flot.min": ("flot@0.8.3", "jquery.flot.js"),
    "jquery.flot.time": ("flot@0.8.3", "jquery.flot.time.js"),
    "jquery.flot.selection": ("flot@0.8.3", "jquery.flot.selection.js"),
    "jquery.flot.categories": ("flot@0.8.3", "jquery.flot.categories.js"),
    "flot-orderbars": ("flot-orderbars@1.0.0", "js/jquery.flot.orderBars.js"),
    "stupidtable": ("stupid-table-plugin@1.1.3", "stupidtable.min.js"),
    "md5": ("blueimp-md5@2.19.0", "js/md5.min.js"),
    "bootstrap.min.js": ("bootstrap@3.1.1", "dist/js/bootstrap.min.js"),
    "bootstrap.min.css": ("bootstrap@3.1.1", "dist/css/bootstrap.min.css"),
}
# a request of jQuery's for JSON that is here is answered from here
ANSWER = """
$.ajaxTransport("json", function (options) {
  var name = decodeURIComponent(options.url.split("?")[0]);
  if (!(name in figures)) return;
  return {
    send: function (_, done) {
      setTimeout(function () { done(200, "OK", {json: figures[name]}); });
    },
    abort: function () {}
  };
});
"""
ADDRESS = re.compile(r'(src|href)="(https://[^"]+\.(?:js|css))"[^>]*?(/?>)')


def libraries(folder: Path) -> bool:
    """Put the libraries into `folder`/vendor; False where there is no npm."""
    npm = shutil.which("npm")
    if npm is None:
        return False
    vendor = folder / "vendor"
    vendor.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as kept:
        packages = sorted({package for package, _ in LIBRARIES.values()})
        command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts",
                   *packages]  # fmt: skip
        if subprocess.run(command, cwd=kept, check=False).returncode:
            return False
        for package, file in LIBRARIES.values():
            place = Path(kept, "node_modules", package.rpartition("@")[0], file)
            shutil.copy(place, vendor / place.name)
    return True


def beside(found: re.Match[str]) -> str:
    """Give a tag's address as that of the library beside the page."""
    attribute, address, end = found.groups()
    for part, (_, file) in LIBRARIES.items():
        if part in address.rpartition("/npm/")[2]:
            return f'{attribute}="vendor/{Path(file).name}"{end}'
    return found[0]


def figures(folder: Path) -> str:
    """Give every JSON file of the folder as a script, by the names it is asked for."""
    held = {
        path.relative_to(folder).as_posix(): json.loads(path.read_text())
        for path in sorted(folder.rglob("*.json"))
    }
    text = json.dumps(held, separators=(",", ":")).replace("</", "<\\/")
    return f"var figures = {text};\n{ANSWER}"


def main(folder: Path) -> None:
    """Change the pages, and say how to open them."""
    page = folder / "index.html"
    text = page.read_text()
    if libraries(folder):
        text = ADDRESS.sub(beside, text)
    else:
        print("npm is not there: the pages take jQuery, Flot and Bootstrap from the network")
    (folder / "data.js").write_text(figures(folder))
    own = '<script language="javascript" type="text/javascript"\n            src="asv.js">'
    if "data.js" not in text:
        if own not in text:
            sys.exit("offline: asv's page is not as it was: no asv.js")
        text = text.replace(own, f'<script src="data.js"></script>\n    {own}')
    page.write_text(text)
    print(f"open {page.resolve().as_uri()}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
