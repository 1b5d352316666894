"""No test goes out to the network: what would be fetched is refused instead."""

import os

os.environ["PARTWISE_OFFLINE"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
