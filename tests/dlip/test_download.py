"""dlip.data.download against a server on this machine that breaks in every way we know."""

import hashlib
import io
import os
import re
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import dlip.data.download as module
from dlip.data.download import cache_dir, check_sha256, download

CONTENT = bytes(range(256)) * 2000  # 512,000 bytes
HALF = 200_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = CONTENT[::-1]


class Server(ThreadingHTTPServer):
    """Answers request number i with `answers[i]`, and all after the last like the last."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = []
        self.requests = []  # the path and the headers of each
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        pass  # clients that hang up are part of the test


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        number = len(self.server.requests)
        self.server.requests.append((self.path, dict(self.headers)))
        answers = self.server.answers
        answers[min(number, len(answers) - 1)](self)

    def log_message(self, *args):
        pass

    def head(self, status, length=None, **headers):
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.close_connection = True


# What a server may answer


def whole(content=CONTENT, **headers):
    def answer(request):
        request.head(200, len(content), **headers)
        request.wfile.write(content)

    return answer


def breaks(after=HALF, content=CONTENT, **headers):
    """Promise all and hang up in the middle."""

    def answer(request):
        request.head(200, len(content), **headers)
        request.wfile.write(content[:after])

    return answer


def ranges(content=CONTENT, tag='"one"', breaks_after=None):
    """Do as RFC 9110 says: the rest, if it is still the same file; otherwise all of it."""

    def answer(request):
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        start = int(asked[1]) if asked and request.headers.get("If-Range") == tag else 0
        if start >= len(content):
            request.head(416, 0, Content_Range=f"bytes */{len(content)}")
            return
        headers = {"ETag": tag}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        request.head(206 if start else 200, len(content) - start, **headers)
        request.wfile.write(content[start:][:breaks_after])

    return answer


def status(code, **headers):
    return lambda request: request.head(code, 0, **headers)


def stalls(after=HALF):
    def answer(request):
        request.head(200, len(CONTENT), ETag='"one"')
        request.wfile.write(CONTENT[:after])
        request.wfile.flush()
        request.server.stalled.wait(5)

    return answer


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(module, "PAUSE", 0.001)
    monkeypatch.setattr(module, "STALL", 5)
    server = Server()
    server.stalled = threading.Event()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.stalled.set()
    server.shutdown()
    server.server_close()
    thread.join()


def left(folder):
    """Return the names in a folder, without locks."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


# All goes well


def test_a_file_arrives_once(server, tmp_path):
    server.answers = [whole()]
    file = tmp_path / "deep" / "photos.zip"
    assert download(f"{server.url}/photos.zip", file) == file
    assert file.read_bytes() == CONTENT
    assert left(file.parent) == ["photos.zip"]
    assert download(f"{server.url}/photos.zip", file) == file
    assert len(server.requests) == 1


def test_nothing_but_loopback_is_needed_for_a_file_that_is_there(tmp_path):
    (tmp_path / "a.zip").write_bytes(CONTENT)
    assert download("http://nowhere.invalid/a.zip", tmp_path / "a.zip", sha256=SHA256.upper())


@pytest.mark.parametrize("headers", [{}, {"Transfer_Encoding": "chunked"}])
def test_a_server_that_does_not_say_how_long_the_file_is(server, tmp_path, headers):
    def answer(request):
        request.head(200, **headers)
        if headers:
            for start in range(0, len(CONTENT), 100_000):
                chunk = CONTENT[start : start + 100_000]
                request.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            request.wfile.write(b"0\r\n\r\n")
        else:
            request.wfile.write(CONTENT)

    server.answers = [answer]
    assert download(server.url, tmp_path / "a.zip", sha256=SHA256).read_bytes() == CONTENT


def test_addresses_with_spaces_and_japanese(server, tmp_path):
    server.answers = [whole()]
    download(f"{server.url}/my photos/猫.zip?a=1&b=%20", tmp_path / "a.zip")
    assert server.requests[0][0] == "/my%20photos/%E7%8C%AB.zip?a=1&b=%20"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.skipif("TQDM_DISABLE" in os.environ, reason="progress bars are switched off")
def test_progress_is_shown_in_a_terminal_only(server, tmp_path, capsys, monkeypatch):
    server.answers = [ranges(breaks_after=HALF), ranges()]
    download(server.url, tmp_path / "a.zip")
    assert capsys.readouterr() == ("", "")
    server.requests.clear()
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    download(server.url, tmp_path / "b.zip")
    assert "b.zip: 100%" in terminal.getvalue()
    assert "512k/512k" in terminal.getvalue()
    assert "39%" in terminal.getvalue()  # the second bar begins at 200,000 of 512,000


# The transfer breaks


def test_continued_where_it_broke(server, tmp_path):
    server.answers = [ranges(breaks_after=HALF)] * 2 + [ranges()]
    download(server.url, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    asked = [headers.get("Range") for _, headers in server.requests]
    assert asked == [None, f"bytes={HALF}-", f"bytes={2 * HALF}-"]
    assert server.requests[1][1]["If-Range"] == '"one"'
    assert left(tmp_path) == ["a.zip"]


def test_continued_by_the_next_call(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    server.answers = [ranges(breaks_after=HALF), ranges()]
    with pytest.raises(ConnectionError, match=r"broke off after 200,000 of 512,000 bytes"):
        download(server.url, tmp_path / "a.zip")
    assert (tmp_path / "a.zip.part").read_bytes() == CONTENT[:HALF]
    assert not (tmp_path / "a.zip").exists()
    download(server.url, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert server.requests[1][1]["Range"] == f"bytes={HALF}-"


def test_continued_by_the_date_if_there_is_no_strong_etag(server, tmp_path):
    date = "Sat, 01 Jan 2022 00:00:00 GMT"

    def rest(request):
        request.head(206, len(CONTENT) - HALF, Content_Range=f"bytes {HALF}-511999/512000")
        request.wfile.write(CONTENT[HALF:])

    server.answers = [breaks(ETag='W/"weak"', Last_Modified=date), rest]
    download(server.url, tmp_path / "a.zip", sha256=SHA256)
    assert server.requests[1][1]["If-Range"] == date


@pytest.mark.parametrize("tag", [{"ETag": '"one"'}, {"ETag": 'W/"weak"'}, {}])
def test_begun_anew_if_the_server_cannot_continue(server, tmp_path, tag):
    server.answers = [breaks(**tag), breaks(**tag), whole(**tag)]
    download(server.url, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    # Without a way to tell whether the file is still the same, do not even ask for the rest.
    assert ("Range" in server.requests[1][1]) == (tag == {"ETag": '"one"'})


def test_a_file_that_changes_between_the_halves(server, tmp_path):
    server.answers = [ranges(breaks_after=HALF), ranges(OTHER, tag='"two"')]
    download(server.url, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == OTHER
    assert len(server.requests) == 2


def test_a_file_that_changes_on_a_server_that_ignores_if_range(server, tmp_path):
    def rest(request):
        assert request.headers["Range"] == f"bytes={HALF}-"
        request.head(206, 312_000, ETag='"two"', Content_Range=f"bytes {HALF}-511999/512000")
        request.wfile.write(OTHER[HALF:])

    server.answers = [ranges(breaks_after=HALF), rest, ranges(OTHER, tag='"two"')]
    download(server.url, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == OTHER
    assert "Range" not in server.requests[2][1]


def test_a_file_that_shrinks_between_the_halves(server, tmp_path):
    server.answers = [ranges(breaks_after=HALF), status(416), ranges(OTHER[:1000], tag='"two"')]
    download(server.url, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == OTHER[:1000]
    assert "Range" not in server.requests[2][1]


def test_a_server_that_sends_another_part_than_asked_for(server, tmp_path):
    def wrong(request):
        request.head(206, 512_000, ETag='"one"', Content_Range="bytes 0-511999/512000")
        request.wfile.write(CONTENT)

    server.answers = [ranges(breaks_after=HALF), wrong, ranges()]
    download(server.url, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_server_that_always_promises_more_than_it_sends(server, tmp_path):
    server.answers = [breaks(len(CONTENT), CONTENT + b"?")]
    with pytest.raises(ConnectionError, match=r"after 512,000 of 512,001 bytes, after 4 attempts"):
        download(server.url, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()
    assert len(server.requests) == 4


def test_a_broken_chunk(server, tmp_path):
    def broken(request):
        request.head(200, Transfer_Encoding="chunked")
        request.wfile.write(b"%x\r\n%s" % (len(CONTENT), CONTENT[:HALF]))

    server.answers = [broken, whole()]
    download(server.url, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_server_that_hangs_up_without_an_answer(server, tmp_path):
    def hangs_up(request):
        request.close_connection = True

    server.answers = [hangs_up, whole()]
    download(server.url, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_stall_in_the_middle(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "STALL", 0.2)
    server.answers = [stalls(), ranges()]
    start = time.monotonic()
    download(server.url, tmp_path / "a.zip")
    assert time.monotonic() - start < 4
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert server.requests[1][1]["Range"] == f"bytes={HALF}-"  # what had come is kept


def test_a_stall_before_the_answer(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "STALL", 0.1)
    monkeypatch.setattr(module, "ATTEMPTS", 2)
    server.answers = [lambda request: request.server.stalled.wait(5)]
    with pytest.raises(ConnectionError, match=r"no byte came for 0\.1 seconds, after 2 attempts"):
        download(server.url, tmp_path / "a.zip")


@pytest.mark.parametrize("code", [500, 503, 429])
def test_trouble_that_passes(server, tmp_path, code):
    server.answers = [status(code), status(code), whole()]
    download(server.url, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_trouble_that_stays(server, tmp_path):
    server.answers = [status(500)]
    with pytest.raises(ConnectionError, match=r"answered 500 .*after 4 attempts"):
        download(server.url, tmp_path / "a.zip")
    assert left(tmp_path) == []


@pytest.mark.parametrize("code", [403, 404, 410])
def test_what_is_not_there_is_asked_for_once(server, tmp_path, code):
    server.answers = [status(code)]
    with pytest.raises(ConnectionError, match=rf"answered {code} "):
        download(f"{server.url}/a.zip", tmp_path / "a.zip")
    assert len(server.requests) == 1
    assert left(tmp_path) == []


def test_no_network(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PAUSE", 0.001)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # nobody listens
        url = f"http://127.0.0.1:{free.getsockname()[1]}/photos.zip"
        with pytest.raises(ConnectionError) as caught:
            download(url, tmp_path / "photos.zip")
    text = str(caught.value)
    assert url in text
    assert f"save it as '{tmp_path / 'photos.zip'}'" in text
    assert left(tmp_path) == []


def test_a_full_disk_is_no_trouble_of_the_network(server, tmp_path, monkeypatch):
    def full(file_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    server.answers = [whole()]
    with pytest.raises(OSError, match="No space left") as caught:
        download(server.url, tmp_path / "a.zip")
    assert not isinstance(caught.value, ConnectionError)
    assert len(server.requests) == 1
    assert not (tmp_path / "a.zip").exists()


# The wrong file


def test_a_file_with_another_hash_is_removed(server, tmp_path):
    server.answers = [whole(OTHER)]
    found = hashlib.sha256(OTHER).hexdigest()
    with pytest.raises(ValueError, match=rf"wrong file.*SHA-256 {SHA256}, got {found}"):
        download(server.url, tmp_path / "a.zip", sha256=SHA256)
    assert left(tmp_path) == []


def test_a_file_that_fails_the_check_is_removed(server, tmp_path):
    def check(file):
        assert file.read_bytes() == CONTENT
        assert file.name == "a.zip.part"  # not yet under its own name
        raise ValueError("no cats in it")

    server.answers = [whole()]
    with pytest.raises(ValueError, match=r"wrong file.*no cats in it"):
        download(server.url, tmp_path / "a.zip", check=check)
    assert left(tmp_path) == []


def test_a_file_that_is_there_but_has_another_hash_is_fetched_anew(server, tmp_path):
    (tmp_path / "a.zip").write_bytes(OTHER)
    server.answers = [whole()]
    download(server.url, tmp_path / "a.zip", sha256=SHA256)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_leftovers_of_another_version_do_no_harm(server, tmp_path):
    (tmp_path / "a.zip.part").write_bytes(b"old" * 1000)
    server.answers = [ranges()]
    download(server.url, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


# Redirects


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_are_followed(server, tmp_path, code):
    server.answers = [status(code, Location="/there.zip"), whole()]
    download(f"{server.url}/here.zip", tmp_path / "a.zip")
    assert [path for path, _ in server.requests] == ["/here.zip", "/there.zip"]
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_redirected_transfer_is_continued(server, tmp_path):
    move = status(302, Location="/there.zip")
    server.answers = [move, ranges(breaks_after=HALF), move, ranges()]
    download(f"{server.url}/here.zip", tmp_path / "a.zip")
    assert server.requests[3][1]["Range"] == f"bytes={HALF}-"
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


@pytest.mark.parametrize("target", ["file://{secret}", "ftp://127.0.0.1/a.zip", "data:,hello"])
def test_redirects_to_anything_but_the_web_are_not_followed(server, tmp_path, target):
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    server.answers = [status(302, Location=target.format(secret=secret))]
    with pytest.raises(ConnectionError, match=r"answered 302 .*(not allowed|not followed)"):
        download(server.url, tmp_path / "cache" / "a.zip")
    assert left(tmp_path / "cache") == []
    assert len(server.requests) == 1


def test_redirects_in_a_circle(server, tmp_path):
    server.answers = [status(302, Location="/")]
    with pytest.raises(ConnectionError, match="answered 302"):
        download(server.url, tmp_path / "a.zip")


# Several at once


# Takes the module from its file: `import dlip.data` would wait for PyTorch.
PROGRAM = """
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
spec = spec_from_file_location("download", sys.argv[1])
module = module_from_spec(spec)
spec.loader.exec_module(module)
module.download(sys.argv[2], Path(sys.argv[3]))
"""


def process(url, file):
    command = [sys.executable, "-c", PROGRAM, module.__file__, url, str(file)]
    return subprocess.Popen(command)


def test_several_processes_fetch_a_file_once(server, tmp_path):
    def slow(request):
        request.head(200, len(CONTENT))
        request.wfile.write(CONTENT[:HALF])
        request.server.stalled.wait(1)
        request.wfile.write(CONTENT[HALF:])

    server.answers = [slow]
    file = tmp_path / "a.zip"
    both = [process(server.url, file) for _ in range(2)]
    assert [one.wait(60) for one in both] == [0, 0]
    assert file.read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_several_threads_fetch_a_file_once(server, tmp_path):
    def slow(request):
        request.head(200, len(CONTENT))
        request.wfile.write(CONTENT[:HALF])
        request.server.stalled.wait(0.2)
        request.wfile.write(CONTENT[HALF:])

    server.answers = [slow]
    threads = [
        threading.Thread(target=download, args=(server.url, tmp_path / "a.zip")) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_an_interrupted_download_can_be_continued(server, tmp_path):
    server.answers = [stalls(), ranges()]
    killed = process(server.url, tmp_path / "a.zip")
    part = tmp_path / "a.zip.part"
    until = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size == HALF) and time.monotonic() < until:
        time.sleep(0.02)
    killed.kill()  # the hard way: no cleaning up
    killed.wait()
    download(server.url, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert server.requests[1][1]["Range"] == f"bytes={HALF}-"


# What is asked for


@pytest.mark.parametrize(
    "url", ["", "photos.zip", "ftp://a.org/b.zip", "file:///etc/passwd", "http://", "http://a:b/"]
)
def test_addresses_that_are_none(tmp_path, url):
    with pytest.raises(ValueError, match="expected an http or https address, got"):
        download(url, tmp_path / "a.zip")
    assert left(tmp_path) == []


def test_bad_arguments(tmp_path):
    with pytest.raises(TypeError, match="address as a string, got 7"):
        download(7, tmp_path / "a.zip")
    for bad in ("", "abc", SHA256 + "0", "g" * 64):
        with pytest.raises(ValueError, match="64 hexadecimal digits, got"):
            download("http://nowhere.invalid/a.zip", tmp_path / "a.zip", sha256=bad)
    with pytest.raises(TypeError, match="SHA-256 as a string, got 5"):
        download("http://nowhere.invalid/a.zip", tmp_path / "a.zip", sha256=5)


def test_sha256_by_the_standard(tmp_path):
    # FIPS 180-2, appendix B.1: the hash of "abc".
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    (tmp_path / "abc").write_bytes(b"abc")
    assert check_sha256(tmp_path / "abc", expected.upper()) == expected
    with pytest.raises(ValueError, match=f"SHA-256 {SHA256}, got {expected}"):
        check_sha256(tmp_path / "abc", SHA256)


def test_where_the_cache_is(tmp_path, monkeypatch):
    monkeypatch.delenv("DLIP_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert cache_dir() == tmp_path / ".cache" / "dlip"
    monkeypatch.setenv("DLIP_CACHE", "~/elsewhere")
    assert cache_dir() == tmp_path / "elsewhere"
    assert cache_dir(tmp_path / "given") == tmp_path / "given"
    with pytest.raises(TypeError, match="path of a folder, got 3"):
        cache_dir(3)
