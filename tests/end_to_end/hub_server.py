"""hub_server.py FOLDER - a small hub: models of one file each way, and every way to go wrong.

Serves on two ports of 127.0.0.1 (the second is the 'other host' of large files), with cert.pem and
key.pem in FOLDER also on a third with TLS; prints them, and writes each request as a line 'PORT METHOD PATH RANGE TOKEN' to FOLDER/requests.  What a repository
does wrong is its name: org/cut-once, org/wrong-digest, ...  Ends with its standard input.
"""
import hashlib
import http.server
import json
import os
import random
import ssl
import sys
import threading
import time

folder = sys.argv[1]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
random.seed(1)
FILES = {
    "config.json": b'{"model_type": "none"}',
    "model.safetensors": random.randbytes(300000),
    "sub/dir/tokenizer.json": b"{}",
    "empty.txt": b"",
    "run.py": b"raise SystemExit",
    "pytorch_model.bin": b"pickle",
}
LARGE = (".safetensors", ".gguf", ".bin")
lock = threading.Lock()
seen = {}


def digest(name, data):
    if name.endswith(LARGE):
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def files_of(repo):
    if repo == "org/gguf":
        return {"a-Q4.gguf": b"GGUF" * 1000, "b-Q8.gguf": b"ggml" * 1000, "README.md": b"hello"}
    if repo == "org/mistral":
        named = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"]
        twice = ["consolidated.safetensors", "consolidated.00.safetensors", "consolidated.safetensors.index.json"]
        return {name: name.encode() for name in ["config.json", *named, *twice, "sub/consolidated.safetensors"]}
    if repo == "org/consolidated":
        return {"params.json": b"{}", "consolidated.safetensors": b"weights"}
    if repo == "org/small":
        return {"config.json": b"{}"}
    if repo == "org/slow":
        return {"model.safetensors": FILES["model.safetensors"], "config.json": b"{}"}
    return FILES


def siblings(repo):
    rows = []
    for name, data in files_of(repo).items():
        row = {"rfilename": name, "size": len(data), "blobId": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()}
        if name.endswith(LARGE):
            row["lfs"] = {"sha256": digest(name, data), "size": len(data), "pointerSize": 134}
        rows.append(row)
    hostile = {"org/hostile-up": "../../../evil.json", "org/hostile-root": "/tmp/evil.json",
               "org/hostile-back": "a\\evil.json", "org/hostile-line": "a\nevil.json",
               "org/hostile-long": "e" * 300 + ".json", "org/hostile-dot": "a/./evil.json"}
    if repo in hostile:
        rows.append(dict(rows[0], rfilename=hostile[repo]))
    if repo == "org/twice":
        rows.append(dict(rows[0]))
    if repo == "org/overflow":
        for i in range(3):
            rows.append({"rfilename": f"{i}.json", "size": 2**62, "blobId": "0" * 40})
    if repo == "org/vast":
        rows.append({"rfilename": "vast.json", "size": 2**61, "blobId": "0" * 40})
    if repo == "org/wrong-size":
        rows[1]["size"] -= 10
    if repo == "org/too-short":
        rows[1]["size"] += 10
    if repo == "org/wrong-digest":
        rows[1]["lfs"]["sha256"] = "f" * 64
    if repo == "org/wrong-blob":
        rows[0]["blobId"] = "e" * 40
    if repo == "org/no-digest":
        del rows[0]["blobId"]
    return rows


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def times(self, what):
        with lock:
            seen[what] = seen.get(what, 0) + 1
            return seen[what]

    def answer(self, code, body=b"", headers=()):
        self.send_response(code)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, code, kind="", text=""):
        self.answer(code, b"{}", [("X-Error-Code", kind), ("X-Error-Message", text)] if kind else [])

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        port = self.server.server_address[1]
        with lock, open(folder + "/requests", "a") as file:
            print(port, self.command, self.path, self.headers.get("Range", "-"),
                  self.headers.get("Authorization", "-"), file=file)
        path = self.path.split("?")[0].strip("/").split("/")
        try:
            if path[:2] == ["api", "models"]:
                self.api("/".join(path[2:4]), path[4], "/".join(path[5:]))
            elif path[0] == "cdn":
                self.file("/".join(path[1:3]), "/".join(path[3:]), True)
            elif path[2] == "resolve":
                self.file("/".join(path[:2]), "/".join(path[4:]), False)
            else:
                self.refuse(404)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def api(self, repo, what, revision):
        refusals = {"org/missing": (404, "RepoNotFound", "Repository not found"), "org/private": (401, "", ""),
                    "org/gated": (403, "GatedRepo", "Access to model org/gated is restricted"),
                    "org/forbidden": (403, "", "")}
        if repo in refusals:
            return self.refuse(*refusals[repo])
        if revision not in ("main", "v1%2F2", "refs%2Fpr%2F1", COMMIT):
            return self.refuse(404, "RevisionNotFound", "Invalid rev id")
        if what == "tree":
            rows = [{"type": "file", "path": row["rfilename"], "size": row["size"], "oid": row["blobId"],
                     **({"lfs": {"oid": row["lfs"]["sha256"], "size": row["size"], "pointerSize": 134}} if "lfs" in row else {})}
                    for row in siblings(repo)]
            return self.answer(200, json.dumps(rows).encode(), [("Content-Type", "application/json")])
        if repo == "org/busy" and self.times("busy") == 1:
            return self.answer(429, b"", [("Retry-After", "1")])
        if repo == "org/broken" and self.times("broken") <= 2:
            return self.answer(500)
        if repo == "org/loop":
            return self.answer(302, b"", [("Location", self.path)])
        if repo == "org/to-file":
            return self.answer(302, b"", [("Location", "file:///etc/passwd")])
        if repo == "org/chatty":
            return self.answer(404, b"x" * (2 << 20))
        if repo == "org/no-json":
            return self.answer(200, b"<html>")
        body = {"id": repo, "modelId": repo, "sha": COMMIT, "private": False, "tags": [], "downloads": 0,
                "likes": 0, "siblings": siblings(repo)}
        if repo == "org/bad-commit":
            body["sha"] = "../../x"
        if repo == "org/huge":
            body["pad"] = "x" * (17 << 20)
        self.answer(200, json.dumps(body).encode(), [("Content-Type", "application/json")])

    def file(self, repo, name, moved):
        data = files_of(repo).get(name)
        if data is None or repo == "org/lost-file":
            return self.refuse(404, "EntryNotFound", "Entry not found")
        etag = digest(name, data)
        headers = [("X-Repo-Commit", COMMIT), ("ETag", f'"{etag}"'), ("Accept-Ranges", "bytes")]
        if name.endswith(LARGE) and not moved:
            other = f"http://127.0.0.1:{ports[1]}/cdn/{repo}/{name}"
            return self.answer(302, b"", headers + [("X-Linked-Etag", f'"{etag}"'), ("X-Linked-Size", str(len(data))),
                                                    ("Location", other)])
        first = 0
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes=") and repo != "org/no-ranges":
            first = int(asked[6:].split("-")[0])
        if repo == "org/bad-range" and first:
            first -= 1
        if first and first >= len(data):
            return self.answer(416)
        self.send_response(206 if first else 200)
        for key, value in headers:
            self.send_header(key, value)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - first))
        self.end_headers()
        if self.command == "HEAD":
            return None
        body = data[first:]
        if len(data) > 1000:
            if repo in ("org/cut", "org/no-ranges", "org/bad-range") and self.times(repo) == 1:
                body = body[:100000]
                self.close_connection = True
            if repo == "org/stall" and self.times(repo) == 1:
                self.wfile.write(body[:1000])
                time.sleep(20)
                self.close_connection = True
                return None
            if repo == "org/slow":
                for at in range(0, len(body), 30000):
                    self.wfile.write(body[at:at + 30000])
                    time.sleep(0.5)
                return None
        self.wfile.write(body)
        return None


servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
ports = [server.server_address[1] for server in servers]
for server in servers:
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
if os.path.exists(folder + "/cert.pem"):
    secure = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    secure.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder + "/cert.pem", folder + "/key.pem")
    secure.socket = context.wrap_socket(secure.socket, server_side=True)
    threading.Thread(target=secure.serve_forever, daemon=True).start()
    ports.append(secure.server_address[1])
print(*ports, flush=True)
sys.stdin.read()
os._exit(0)
