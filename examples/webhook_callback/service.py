"""The other system: a render farm. It knows nothing of flows; it takes orders and posts to URLs.

python service.py ORDERS [--twice]
"""

import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path


def rendered(shot: str) -> dict[str, object]:
    """How it went, as it is told."""
    if shot == "storm":
        return {"task_id": f"farm-{shot}", "success": False, "error": "the camera got wet"}
    return {"task_id": f"farm-{shot}", "success": True, "data": f"{shot}.png"}


def tell(url: str, outcome: dict[str, object]) -> object:
    """Posts to the URL, and returns what is answered."""
    body = json.dumps(outcome).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refused:
        return json.load(refused)


def main(orders: Path, n_times: int) -> None:
    while True:
        for path in sorted(orders.glob("*.json")):
            order = json.loads(path.read_text())
            for _ in range(n_times):  # a farm that is not sure whether it was heard tells again
                print(order["shot"], json.dumps(tell(order["tell"], rendered(order["shot"]))), flush=True)
            path.unlink()
        time.sleep(0.1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), 2 if "--twice" in sys.argv else 1)
