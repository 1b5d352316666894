"""The app: `python app.py`, or a Hugging Face Space, which finds this file by itself."""

from __future__ import annotations

import argparse

from reid.ui import launch

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Open Partwise in the browser.")
    parser.add_argument("--host", help="address to listen on; by default this machine alone, on a Space everybody")
    parser.add_argument("--port", type=int, help="port to listen on; by default the first free one from 7860")
    parser.add_argument("--open", action="store_true", help="open a browser window")
    options = parser.parse_args()
    launch(options.host, options.port, open_browser=options.open)
