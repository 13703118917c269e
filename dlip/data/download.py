"""Downloading a file so that it is either there and right, or not there."""

import errno
import hashlib
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from tqdm import tqdm

from dlip._check import describe

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["cache_dir", "check_sha256", "download"]

ATTEMPTS = 4
"""How often a transfer is begun or continued before giving up."""

PAUSE = 0.5
"""Seconds before the second attempt; before each further one twice as long."""

STALL = 30.0
"""Seconds without a byte after which a connection counts as broken."""

CHUNK = 2**18
"""At most so many bytes are read at a time."""


def cache_dir(folder: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder that keeps downloads and unpacked archives; it need not exist yet.

    Parameters
    ----------
    folder
        If given, this one.

    Returns
    -------
    Path
        `folder`; else what the environment variable `DLIP_CACHE` names; else `~/.cache/dlip`.

    Raises
    ------
    TypeError
        If `folder` is no path.

    Examples
    --------
    >>> cache_dir("pictures").name
    'pictures'
    """
    if folder is None:
        folder = os.environ.get("DLIP_CACHE") or "~/.cache/dlip"
    if not isinstance(folder, (str, os.PathLike)):
        raise TypeError(f"expected the path of a folder, got {describe(folder)}")
    return Path(folder).expanduser().absolute()


def check_sha256(file: Path, expected: str | None = None) -> str:
    """Compute the SHA-256 of a file, and compare it with the expected one, if there is one.

    Parameters
    ----------
    file
        The file.
    expected
        64 hexadecimal digits.

    Returns
    -------
    str
        The file's hash, 64 hexadecimal digits in lower case.

    Raises
    ------
    TypeError
        If `expected` is no string.
    ValueError
        If `expected` is no SHA-256, or not that of the file.

    References
    ----------
    National Institute of Standards and Technology, "Secure Hash Standard", FIPS 180-4, 2015.

    Examples
    --------
    >>> _ = Path("abc.txt").write_text("abc")
    >>> check_sha256(Path("abc.txt"))[:16]
    'ba7816bf8f01cfea'
    """
    _check_hash(expected)
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if expected is not None and found != expected.lower():
        raise ValueError(
            f"'{file}' is not the right file: expected SHA-256 {expected}, got {found}"
        )
    return found


def download(
    url: str,
    file: Path,
    *,
    sha256: str | None = None,
    check: Callable[[Path], object] | None = None,
) -> Path:
    """Download a file, unless it is there already.

    The bytes go to `file` + ".part". Only when all have come, and the hash and `check`
    agree, is it renamed to `file`. A broken transfer is continued where it stopped, also by
    the next call, if the server can do that and says that its file is still the same;
    otherwise it begins anew. Of several processes that want the same file one fetches it
    and the others wait. In a terminal a bar shows the progress.

    Parameters
    ----------
    url
        An http or https address. Redirects to such are followed, to others not.
    file
        Where to keep it. Folders are made as needed.
    sha256
        The hash it must have, 64 hexadecimal digits. If the file there has another, it is
        fetched anew.
    check
        Called with the path of the complete download, before it is renamed; should raise
        ValueError if the content is not what is wanted.

    Returns
    -------
    Path
        `file`.

    Raises
    ------
    ConnectionError
        If the file cannot be fetched; the message says where it would go and what to do.
    TypeError
        If `url` or `sha256` is no string.
    ValueError
        If `url` is no http(s) address, or what it sends has another hash or fails `check`.

    References
    ----------
    R. Fielding, M. Nottingham and J. Reschke, "HTTP Semantics", RFC 9110, 2022: sections
    13.1.5 (If-Range) and 14 (Range Requests).

    Examples
    --------
    >>> download("ftp://example.org/cats.zip", Path("cats.zip"))
    Traceback (most recent call last):
        ...
    ValueError: expected an http or https address, got 'ftp://example.org/cats.zip'
    """
    address = _check_url(url)
    _check_hash(sha256)
    if _is_there(file, sha256):
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    with _alone(file.with_name(file.name + ".lock")):
        if _is_there(file, sha256):  # another process was quicker
            return file
        file.unlink(missing_ok=True)
        part = file.with_name(file.name + ".part")
        version = file.with_name(file.name + ".version")
        _fetch(address, part, version, file)
        version.unlink(missing_ok=True)
        try:
            check_sha256(part, sha256)
            if check is not None:
                check(part)
        except ValueError as error:
            part.unlink()
            raise ValueError(f"{url} sent a wrong file, which was removed: {error}") from error
        part.replace(file)
    return file


class _Broken(Exception):
    """A fault that may be gone at the next attempt."""


def _check_url(url: str) -> str:
    """Return the address in ASCII: spaces and characters like é as %20 and %C3%A9."""
    if not isinstance(url, str):
        raise TypeError(f"expected an http or https address as a string, got {describe(url)}")
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # such as a port that is no number
        valid = False
    if not valid:
        raise ValueError(f"expected an http or https address, got '{url}'")
    return quote(url, safe="!#$%&'()*+,/:;=?@[]~")


def _check_hash(sha256: str | None) -> None:
    if sha256 is None:
        return
    if not isinstance(sha256, str):
        raise TypeError(f"expected a SHA-256 as a string, got {describe(sha256)}")
    if not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise ValueError(f"expected a SHA-256, 64 hexadecimal digits, got {sha256!r}")


def _is_there(file: Path, sha256: str | None) -> bool:
    return file.is_file() and (sha256 is None or check_sha256(file) == sha256.lower())


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Wait until no other process is here. The system frees the lock even of one that dies.

    The empty lock file stays: if it were deleted, two could hold two files of its name.
    """
    with lock.open("w") as file:
        with suppress(OSError):  # some network drives have no locks: hope to be alone
            _acquire(file)
        yield


def _acquire(file: IO[str]) -> None:
    if sys.platform == "win32":
        while True:
            try:
                return msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
            except OSError as error:
                if error.errno != errno.EDEADLOCK:  # which means: waited ten seconds in vain
                    raise
    else:
        fcntl.flock(file, fcntl.LOCK_EX)


def _fetch(url: str, part: Path, version: Path, file: Path) -> None:
    """Fill `part`; when the transfer breaks, try again."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _transfer(url, part, version)
            break
        except _Broken as error:
            if attempt == ATTEMPTS:
                raise _failure(url, file, f"{error}, after {ATTEMPTS} attempts") from error
            time.sleep(PAUSE * 2 ** (attempt - 1))
        except HTTPError as error:
            raise _failure(url, file, f"the server answered {error.code} {error.msg}") from error


def _failure(url: str, file: Path, reason: str) -> ConnectionError:
    return ConnectionError(
        f"cannot download {url}: {reason}. If this machine has no network, download the file "
        f"elsewhere and save it as '{file}'"
    )


def _transfer(url: str, part: Path, version: Path) -> None:
    """Make one attempt: continue `part` if possible, else begin anew.

    `version` is a file for what the server says to tell this version of its file from
    others: an ETag or a date, or nothing.
    """
    size = part.stat().st_size if part.exists() else 0
    known = version.read_text(encoding="utf-8") if size and version.exists() else ""
    headers = {"User-Agent": "dlip"}
    if known:  # "send the rest; or if the file is not the same any more, all of it"
        headers |= {"Range": f"bytes={size}-", "If-Range": known}
    with _connect(url, headers, part) as response:
        if response.status == 200:
            size = 0
            part.write_bytes(b"")
            version.write_text(_version(response.headers), encoding="utf-8")
        elif not _continues(response, size, known):
            part.unlink(missing_ok=True)
            raise _Broken(f"the server answered {response.status} and not what was asked for")
        total = None if response.length is None else size + response.length
        _append(response, part, size, total)
    size = part.stat().st_size
    if total is not None and size != total:
        raise _Broken(f"the transfer broke off after {size:,} of {total:,} bytes")


def _connect(url: str, headers: dict[str, str], part: Path) -> HTTPResponse:
    """Return the server's answer, of which only the head has been read."""
    opener = build_opener(_WebOnly)
    try:
        response: HTTPResponse = opener.open(Request(url, headers=headers), timeout=STALL)
        return response
    except HTTPError as error:
        error.close()
        if error.code == 416:  # the file ends before the part does: it is another one
            part.unlink(missing_ok=True)
        if error.code in (408, 416, 425, 429) or error.code >= 500:
            raise _Broken(f"the server answered {error.code} {error.msg}") from error
        raise  # such as 404: asking again would not help
    except (OSError, HTTPException) as error:
        raise _Broken(_reason(error)) from error


class _WebOnly(HTTPRedirectHandler):
    """Follow redirects to http and https; urllib would also follow those to ftp."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if not newurl.startswith(("http://", "https://")):
            msg = f"{msg}: a redirect to '{newurl}', which is not followed"
            raise HTTPError(req.full_url, code, msg, headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _version(headers: HTTPMessage) -> str:
    """Return what tells versions of a file apart; a weak ETag (W/) does not tell each byte."""
    tag = headers.get("ETag", "")
    return str(tag if tag.startswith('"') else headers.get("Last-Modified", ""))


def _continues(response: HTTPResponse, size: int, known: str) -> bool:
    """Say whether an answer is the rest, from byte `size` on, of the version we know."""
    rest = response.headers.get("Content-Range", "").startswith(f"bytes {size}-")
    same = _version(response.headers) in ("", known)
    return response.status == 206 and rest and same and known != ""


def _append(response: HTTPResponse, part: Path, size: int, total: int | None) -> None:
    """Write what comes to the end of `part`, with a progress bar in a terminal."""
    bar = tqdm(desc=part.stem, initial=size, total=total, unit="B", unit_scale=True, disable=None)
    with bar, part.open("ab") as out:
        while True:
            try:
                chunk = response.read1(CHUNK)
            except (OSError, HTTPException) as error:
                raise _Broken(_reason(error)) from error
            if not chunk:
                break
            out.write(chunk)
            bar.update(len(chunk))
        out.flush()
        os.fsync(out.fileno())  # a power cut after the renaming must not leave holes


def _reason(error: Exception) -> str:
    cause = getattr(error, "reason", error)  # urllib wraps what went wrong
    if isinstance(cause, TimeoutError):
        return f"no byte came for {STALL:g} seconds"
    return str(cause) or type(cause).__name__
