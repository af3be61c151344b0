"""The application for other servers than waitress; see bench/serving.py."""

import os
from pathlib import Path

from lorelm.server.app import create_app
from lorelm.server.settings import ServerSettings

app = create_app(ServerSettings(bundles=[Path(os.environ["LORELM_BENCH_BUNDLE"])]))
