"""Let a room of students write with a model on your laptop.

    python lecture_hall.py my-model

Starts `lorelm serve` for the network that the laptop is in, and shows a page for the projector
with the address, as a QR code too. Ctrl-C ends both.
"""

import argparse
import html
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import webbrowser
from pathlib import Path
from string import Template

try:
    import segno
except ImportError:
    sys.exit("The QR code needs segno: pip install segno")

POSTER = Path(__file__).with_name("poster.html")

# A student who reads what comes asks some ten times a minute: this stops the one who holds the key
# down. No text keeps a slot for longer than a few seconds.
RATE = "30/minute"
LIMITS = ["--max-tokens-limit", "200", "--timeout-seconds", "20", "--no-history"]


def own_address() -> str:
    """Return the address of this machine in its network; 127.0.0.1 if it is in none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only chooses an interface
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def start(arguments: argparse.Namespace) -> tuple[subprocess.Popen[str], int]:
    """Start the server; return it, and its port when it takes requests."""
    command = [sys.executable, "-m", "lorelm", "serve", arguments.model, *LIMITS]
    command += ["--rate-limit", arguments.rate]
    command += ["--host", arguments.host, "--port", str(arguments.port)]
    command += ["--workers", arguments.workers, "--title", arguments.title]
    # In the environment, and not in the command, which every user of this machine can read.
    key = {"LORELM_API_KEY": arguments.password} if arguments.password else {}
    server = subprocess.Popen(
        command, env=os.environ | key, stderr=subprocess.PIPE, encoding="utf-8", errors="replace"
    )
    assert server.stderr
    said = ""
    for line in server.stderr:
        if found := re.search(r"http://\S+:(\d+)/", line):
            return server, int(found[1])
        said += line
    sys.exit(said)


def poster(url: str, *, title: str, password: str | None) -> str:
    """Return the page for the projector."""
    return Template(POSTER.read_text(encoding="utf-8")).substitute(
        title=html.escape(title),
        url=html.escape(url),
        code=segno.make(url, micro=False).svg_inline(scale=8, border=2, omitsize=True),
        password=f"The password is <b>{html.escape(password)}</b>." if password else "",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="english", help="default: english")
    parser.add_argument("--title", default="Write with our model")
    parser.add_argument("--password", help="what a browser asks for; shown on the projector")
    parser.add_argument("--rate", default=RATE, help=f"requests of an address; default: {RATE}")
    parser.add_argument("--workers", default="1", help="number of processes, or auto; default: 1")
    parser.add_argument("--host", default="0.0.0.0", help="default: all networks (0.0.0.0)")
    parser.add_argument("--port", type=int, default=5000, help="default: 5000")
    parser.add_argument("--no-browser", action="store_true", help="do not open the page")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # so that the server ends, too
    server, port = start(arguments)
    host = own_address() if arguments.host == "0.0.0.0" else arguments.host
    url = f"http://{host}:{port}/"
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "poster.html")
        page.write_text(
            poster(url, title=arguments.title, password=arguments.password), encoding="utf-8"
        )
        segno.make(url, micro=False).terminal(compact=True)
        print(f"Students: {url}\nProjector: {page.as_uri()}\nCtrl-C ends it.", flush=True)
        if not arguments.no_browser:
            webbrowser.open(page.as_uri())
        try:
            for line in server.stderr or ():
                sys.stderr.write(line)
        except KeyboardInterrupt:
            pass  # the server is in the same terminal and ends by itself
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
