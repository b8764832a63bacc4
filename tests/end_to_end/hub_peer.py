"""hub_peer.py CACHE - the huggingface_hub package on a cache that 'zmlx pull' wrote; says what held.

HF_ENDPOINT is hub_server.py.  hub_test.sh reads the lines.
"""
import os
import sys

from huggingface_hub import scan_cache_dir, snapshot_download

cache = sys.argv[1]
WANTED = ["*.safetensors", "*.json", "*.txt"]


def requests():
    with open(os.path.join(os.path.dirname(cache), "server", "requests")) as file:
        return file.read().splitlines()


found = snapshot_download("org/good", local_files_only=True)
with open(os.path.join(found, "sub/dir/tokenizer.json")) as text:
    if text.read() == "{}":
        print("it finds what we pulled")

report = scan_cache_dir(cache)
good = [repo for repo in report.repos if repo.repo_id == "org/good"]
about = [warning for warning in report.warnings if "--good" in str(warning)]
if len(good) == 1 and not about and any("main" in revision.refs for revision in good[0].revisions):
    print("scan_cache_dir sees no fault")
print(report.warnings, file=sys.stderr)

before = len(requests())
again = snapshot_download("org/good", allow_patterns=WANTED)
print(requests()[before:], file=sys.stderr)
if again == found and not any(" GET /org/" in line or " GET /cdn/" in line for line in requests()[before:]):
    print("it fetches nothing again")

other = snapshot_download("org/theirs", allow_patterns=WANTED)
if os.path.getsize(os.path.join(other, "model.safetensors")) == 300000:
    print("it fetches another")
