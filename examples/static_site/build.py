"""Build a web site of one's own around a model that runs in the visitor's browser.

    python build.py ../../my-model --title "Tales of the mill" --out site

The site is plain files, for any static host.
"""

import argparse
import html
import shutil
import subprocess
import sys
from pathlib import Path
from string import Template

import lorelm

HERE = Path(__file__).parent


def facts_of(model: str) -> dict[str, str]:
    """Return what the page says about a model.

    Raises:
        LoreLMError: it cannot be read.
    """
    manifest = lorelm.Bundle.load(model).manifest
    metrics = manifest.metrics
    judgement = (
        ""
        if metrics is None
        else f"Of a text that it had not seen, it was as unsure of each word "
        f"as if {metrics.perplexity:.0f} were equally likely (its perplexity). "
    )
    return {"source": manifest.source, "words": f"{manifest.num_words:,}", "judgement": judgement}


def build(model: str, out: Path, *, title: str) -> None:
    """Write the page into `out`, and the model with its own page into `out/model`.

    Raises:
        LoreLMError: the model cannot be read.
        CalledProcessError: it cannot be exported; `lorelm export` has said why.
    """
    facts = facts_of(model) | {"title": title}
    export = [sys.executable, "-m", "lorelm", "export", model]
    command = [*export, "--web", out / "model", "--title", "Write with it"]
    exported = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    print(exported.stdout.partition("\nLook at it:")[0])  # at the whole site: main() says how
    template = Template((HERE / "index.html").read_text(encoding="utf-8"))
    page = template.substitute({name: html.escape(fact) for name, fact in facts.items()})
    (out / "index.html").write_text(page, encoding="utf-8")
    shutil.copy(HERE / "style.css", out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="folder or pack of a model, or english")
    parser.add_argument("--title", default="Write with a model")
    parser.add_argument("--out", type=Path, default=Path("site"), help="default: site")
    arguments = parser.parse_args()
    try:
        build(arguments.model, arguments.out, title=arguments.title)
    except lorelm.errors.LoreLMError as error:
        sys.exit(f"Error: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
    print(f"To see it: python -m http.server --bind 127.0.0.1 --directory {arguments.out} 8000")


if __name__ == "__main__":
    main()
