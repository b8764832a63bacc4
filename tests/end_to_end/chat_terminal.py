"""chat_terminal.py - 'zmlx chat' as somebody at a terminal meets it, through a pty.

    chat_terminal.py ZMLX MODEL

MODEL has a small vocabulary, a template and a context so long that no answer ends by itself.
Nothing here waits for a time to pass: each step waits for what the program must say next, LIMIT
seconds at most.  Prints a line per check and closes with 'N passed, N failed, N skipped'.
"""
import json
import os
import pty
import select
import signal
import sys
import tempfile
import termios
import time

LIMIT = 120
zmlx, model = sys.argv[1:3]
passed = failed = skipped = 0


def check(title, holds, said=b""):
    global passed, failed
    if holds:
        passed += 1
        print("ok:", title, flush=True)
    else:
        failed += 1
        print("FAILED:", title, flush=True)
        print("    terminal:", said[-600:], flush=True)


class Chat:
    """A chat with its three streams on a terminal; 'out' moves standard output to a file."""

    def __init__(self, *options, out=None):
        self.said, self.seen = b"", 0
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm", LC_ALL="C.UTF-8")
            if out is not None:
                os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
            os.execv(zmlx, [zmlx, "chat", model, "--ignore-eos", *options])

    def type(self, text):
        os.write(self.terminal, text)

    def read(self, end):
        """More of what it says; False at its end, or when the time 'end' is over."""
        left = end - time.monotonic()
        if left <= 0 or not select.select([self.terminal], [], [], left)[0]:
            return False
        try:
            more = os.read(self.terminal, 65536)
        except OSError:  # nobody holds the other side any more
            return False
        self.said += more
        return len(more) > 0

    def until(self, words):
        """Waits until it has said this after what was waited for before."""
        end = time.monotonic() + LIMIT
        while words not in self.said[self.seen:]:
            if not self.read(end):
                return False
        self.seen = self.said.index(words, self.seen) + len(words)
        return True

    def until_more(self, count):
        """Waits for 'count' more bytes, whatever they are."""
        end = time.monotonic() + LIMIT
        while len(self.said) < self.seen + count:
            if not self.read(end):
                return False
        self.seen = len(self.said)
        return True

    def edits(self):
        """True where keys are read one by one, by a line editor."""
        return not termios.tcgetattr(self.terminal)[3] & termios.ICANON

    def exit_code(self):
        """Reads on until it has ended; None where that takes too long."""
        end = time.monotonic() + LIMIT
        while self.read(end):
            pass
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid != 0:
                os.close(self.terminal)
                return os.waitstatus_to_exitcode(status)
            select.select([], [], [], 0.01)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)
        return None


def answers_and_interrupts():
    chat = Chat()
    check("the prompt appears", chat.until(b"\n> "), chat.said)
    edits = chat.edits()
    chat.type(b"hello\n")
    check("the line is echoed", chat.until(b"hello"), chat.said)
    check("the answer streams", chat.until_more(300), chat.said)
    chat.type(b"\x03")
    check("Ctrl-C ends the answer, which is said", chat.until(b"(cancelled)"), chat.said)
    check("and the prompt is back", chat.until(b"\n> "), chat.said)
    chat.type(b"again\n")
    check("a further message is answered", chat.until(b"again") and chat.until_more(300), chat.said)
    chat.type(b"\x03")
    check("Ctrl-C ends that answer too", chat.until(b"(cancelled)") and chat.until(b"\n> "), chat.said)
    chat.type(b"now\n")
    good = chat.until(b"now")
    chat.type(b"\x03")  # between the line and its answer, or a little later
    check("Ctrl-C right after a line brings the prompt back", good and chat.until(b"\n> "), chat.said)
    chat.type(b"\x04")
    code = chat.exit_code()
    check(f"Ctrl-D leaves with exit 0 ({code})", code == 0, chat.said)
    return edits


def messages(keys):
    """Types each text, with a short answer between; the user's messages as the program saw them."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out")
        chat = Chat("-n", "2", "--json", out=out)
        good = chat.until(b"\n> ")
        for text, expected in keys:
            chat.type(text)
            good = good and chat.until(expected)
        chat.type(b"\x04")
        code = chat.exit_code()
        if not good or code != 0:
            return None, chat.said
        with open(out, encoding="utf-8") as file:
            found = json.load(file)["messages"]
        return [row["content"] for row in found if row["role"] == "user"], chat.said


def edits_lines():
    answered = b"(length)\r\n> "
    got, said = messages([
        (b"b\x01a\x05c\n", answered),        # to the line's start and end
        (b"wrongx\x7f\x7f\x7f\x7f\x7f\x7fright\n", answered),  # rubbed out
        (b"\x1b[A\n", answered),             # the line before, from the history
        ("h\u00e9 \u4e2d".encode() + b"\x7f\xc3\xbc\n", answered),  # characters of several bytes
        (b"dropped\x03", b"\n> "),           # Ctrl-C drops the line
        (b"kept\n", answered),
    ])
    wanted = ["abc", "right", "right", "h\u00e9 \u00fc", "kept"]
    check(f"keys edit the line, Ctrl-C drops it ({got})", got == wanted, said)


edited = answers_and_interrupts()
if edited:
    edits_lines()
else:
    skipped += 1
    print("skipped: keys that edit a line: built without libedit")
print(f"{passed} passed, {failed} failed, {skipped} skipped")
sys.exit(failed != 0)
