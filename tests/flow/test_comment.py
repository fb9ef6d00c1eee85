"""One comment a project on the pull or merge request, against stand-ins that speak the hosts' real shapes."""

import json
import re
import socketserver
import ssl
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tidegate.errors import UnavailableError
from tidegate.flow.comment import MOST_SUMMARY_BYTES, comment, cut
from tidegate.flow.github import pull_number
from tidegate.flow.gitlab import without_commands
from tidegate.flow.web import Patience

CANARY = "canary-0123456789abcdef"
SOON = Patience(reply_s=5, total_s=20, pause_s=0)
MARK = "<!-- tidegate:digits -->"
CI = re.compile(r"(GITHUB|GITLAB|CI|TIDEGATE_GITLAB)_")


class Answer:
    """A reply of a stand-in."""

    def __init__(self, status: int, body: Any = None, **headers: str) -> None:
        self.status, self.body, self.headers = status, body, headers


class Host:
    """A code host with one pull or merge request; `before` may answer a request, `after` sees it."""

    def __init__(self) -> None:
        self.comments: dict[int, tuple[str, str]] = {}
        self.seen: list[tuple[str, str, str]] = []
        self.before: Callable[[str, str], Answer | None] = lambda method, path: None
        self.after: Callable[[str, str], None] = lambda method, path: None
        self.page_size, self.us, self.number, self.url = 100, "us", 0, ""
        self.lock = threading.Lock()

    def add(self, body: str, author: str = "stranger") -> int:
        with self.lock:
            self.number += 1
            self.comments[self.number] = (author, body)
            return self.number

    def marked(self) -> dict[int, str]:
        return {key: body for key, (by, body) in self.comments.items() if by == self.us and MARK in body}

    def handle(self, method: str, path: str, body: Any) -> Answer:
        instead = self.before(method, path)
        if instead:
            return instead
        whose = self.identify(path, body)
        if whose:
            return Answer(200, whose)
        edited = re.fullmatch(r".*/(?:comments|notes)/(\d+)", path)
        if edited:
            return self.change(method, int(edited[1]), body)
        if method == "POST":
            if len(body["body"]) > self.limit:
                return Answer(422, {"message": "Validation Failed", "errors": [{"code": "custom"}]})
            return Answer(201, self.show(self.add(body["body"], self.us)))
        return self.list(int(re.search(r"[?&]page=(\d+)", path)[1]))

    def change(self, method: str, number: int, body: Any) -> Answer:
        if number not in self.comments:
            return Answer(404, {"message": "Not Found"})
        if self.comments[number][0] != self.us:
            return Answer(403, {"message": "Forbidden"})
        if method == "DELETE":
            del self.comments[number]
            return Answer(204)
        assert method == self.edit
        self.comments[number] = (self.us, body["body"])
        return Answer(200, self.show(number))

    def list(self, page: int) -> Answer:
        numbers = sorted(self.comments)
        end = page * self.page_size
        more = len(numbers) > end
        return Answer(
            200, [self.show(n) for n in numbers[end - self.page_size : end]], **self.next(page, more)
        )


class GitHub(Host):
    """The issue comments of a pull request; a job's token may not ask who it is but by GraphQL."""

    limit, edit = 65_536, "PATCH"

    def environ(self) -> dict[str, str]:
        return {
            "GITHUB_API_URL": self.url,
            "GITHUB_REPOSITORY": "ours/digits",
            "GITHUB_REF": "refs/pull/7/merge",
            "GITHUB_TOKEN": CANARY,
        }

    def identify(self, path: str, body: Any) -> Any:
        if path == "/graphql" and "viewer" in body["query"]:
            return {"data": {"viewer": {"login": self.us}}}
        assert path.startswith("/repos/ours/digits/issues/")
        return None

    def show(self, number: int) -> dict[str, Any]:
        by, body = self.comments[number]
        url = f"https://github.example/ours/digits/pull/7#issuecomment-{number}"
        return {"id": number, "html_url": url, "body": body, "user": {"login": by, "type": "User"}}

    def next(self, page: int, more: bool) -> dict[str, str]:
        link = f'<https://elsewhere.example/?page={page + 1}>; rel="next", <https://e.example>; rel="last"'
        return {"Link": link} if more else {}


class GitLab(Host):
    """The notes of a merge request."""

    limit, edit = 1_000_000, "PUT"

    def environ(self) -> dict[str, str]:
        return {
            "CI_API_V4_URL": f"{self.url}/api/v4",
            "CI_PROJECT_ID": "99",
            "CI_MERGE_REQUEST_PROJECT_ID": "5",
            "CI_MERGE_REQUEST_PROJECT_URL": "https://gitlab.example/ours/digits",
            "CI_MERGE_REQUEST_IID": "7",
            "CI_JOB_TOKEN": "job",
            "TIDEGATE_GITLAB_TOKEN": CANARY,
        }

    def identify(self, path: str, body: Any) -> Any:
        if path == "/api/v4/user":
            return {"id": 3, "username": self.us, "bot": True}
        assert path.startswith("/api/v4/projects/5/merge_requests/7/notes")
        return None

    def show(self, number: int) -> dict[str, Any]:
        by, body = self.comments[number]
        return {"id": number, "body": body, "author": {"id": 1, "username": by}, "system": False}

    def next(self, page: int, more: bool) -> dict[str, str]:
        return {"X-Next-Page": str(page + 1) if more else "", "X-Page": str(page)}


@contextmanager
def serve(host: Host, context: ssl.SSLContext | None = None) -> Iterator[Host]:
    """The stand-in on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            token = self.headers.get("Authorization", "")
            host.seen.append((self.command, self.path, token))
            answer = host.handle(self.command, self.path, json.loads(sent) if sent else None)
            host.after(self.command, self.path)
            body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name.replace("_", "-"), value)
            if answer.status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if answer.status != 204:
                self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = do  # noqa: N815

        def log_message(self, *words: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A client that has hung up, or refused a certificate, is what some tests are about."""

    with Server(("127.0.0.1", 0), Handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        host.url = f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield host
        server.shutdown()
        thread.join()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "tidegate.toml").write_text('[project]\nname = "digits"\n')
    return tmp_path


@pytest.fixture(autouse=True)
def _no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if CI.match(name)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(params=[GitHub, GitLab])
def host(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    with serve(request.param()) as one:
        enter(one, monkeypatch)
        yield one


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    with serve(GitHub()) as one:
        enter(one, monkeypatch)
        yield one


@pytest.fixture
def gitlab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    with serve(GitLab()) as one:
        enter(one, monkeypatch)
        yield one


def enter(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in host.environ().items():
        monkeypatch.setenv(name, value)


def failing(times: int, answer: Answer, method: str = "GET") -> Callable[[str, str], Answer | None]:
    """A host that gives this answer a few times to requests about comments, then is well."""
    left = [times]

    def before(asked: str, path: str) -> Answer | None:
        if asked != method or "7" not in path or not left[0]:
            return None
        left[0] -= 1
        return answer

    return before


def refused(root: Path, patience: Patience = SOON) -> UnavailableError:
    with pytest.raises(UnavailableError) as found:
        comment(root, "text", patience=patience)
    return found.value


# one comment


def test_the_first_report_is_a_comment_and_the_next_one_takes_its_place(root: Path, host: Host) -> None:
    first = comment(root, "### ✅ one", patience=SOON)
    second = comment(root, "### ❌ two", patience=SOON)
    assert list(host.marked().values()) == [f"{MARK}\n\n### ❌ two"]
    assert first == second
    assert first.endswith(f"{next(iter(host.comments))}")


def test_our_comment_is_found_behind_pages_of_others(root: Path, host: Host) -> None:
    host.page_size = 3
    for n in range(7):
        host.add(f"talk {n}")
    comment(root, "one", patience=SOON)
    for n in range(8):
        host.add(f"more talk {n}")
    comment(root, "two", patience=SOON)
    assert list(host.marked().values()) == [f"{MARK}\n\ntwo"]


def test_projects_of_one_repository_have_a_comment_each(root: Path, host: Host) -> None:
    comment(root, "one", patience=SOON)
    (root / "tidegate.toml").write_text('[project]\nname = "digits2"\n')
    comment(root, "two", patience=SOON)
    assert len(host.comments) == 2


def test_a_mark_pasted_by_a_stranger_is_left_alone(root: Path, host: Host) -> None:
    pasted = host.add(f"{MARK}\n\n### ✅ merge me")
    comment(root, "ours", patience=SOON)
    comment(root, "ours again", patience=SOON)
    assert host.comments[pasted] == ("stranger", f"{MARK}\n\n### ✅ merge me")
    assert len(host.comments) == 2
    assert not [one for one in host.seen if one[1].endswith(f"/{pasted}")]


def test_a_comment_of_ours_that_quotes_the_mark_is_not_the_report(root: Path, host: Host) -> None:
    quoting = host.add(f"> {MARK}", host.us)
    comment(root, "ours", patience=SOON)
    assert host.comments[quoting][1] == f"> {MARK}"


@pytest.mark.parametrize("status", [403, 404])
def test_a_comment_that_may_not_be_changed_any_more_is_followed_by_a_new_one(
    root: Path, host: Host, status: int
) -> None:
    comment(root, "one", patience=SOON)
    host.before = failing(1, Answer(status, {"message": "no"}), method=host.edit)
    assert comment(root, "two", patience=SOON)
    assert list(host.marked().values()) == [f"{MARK}\n\ntwo"]


def test_duplicates_of_ours_go_and_the_oldest_stays(root: Path, host: Host) -> None:
    numbers = [host.add(f"{MARK}\n\nold", host.us) for _ in range(3)]
    comment(root, "new", patience=SOON)
    assert host.marked() == {numbers[0]: f"{MARK}\n\nnew"}


def test_a_host_that_does_not_say_who_we_are_still_ends_with_one_comment(root: Path, host: Host) -> None:
    def anonymous(method: str, path: str) -> Answer | None:
        is_who = path.endswith(("/user", "/graphql"))
        return Answer(403, {"message": "Resource not accessible by integration"}) if is_who else None

    host.before = anonymous
    for text in ("one", "two", "three"):
        comment(root, text, patience=SOON)
    assert list(host.marked().values()) == [f"{MARK}\n\nthree"]


@pytest.mark.parametrize("meetings", [1, 2])
def test_two_jobs_at_once_end_with_one_comment(root: Path, host: Host, meetings: int) -> None:
    both, asked, lock = threading.Barrier(2, timeout=20), [0], threading.Lock()

    def meet(method: str, path: str) -> None:
        if method == "GET" and "7" in path:
            with lock:
                asked[0] += 1
                turn = asked[0]
            if turn <= 2 * meetings:
                both.wait()

    host.after = meet
    with ThreadPoolExecutor(2) as jobs:
        urls = list(jobs.map(lambda text: comment(root, text, patience=SOON), ["one", "two"]))
    assert len(host.marked()) == 1
    assert sum(method == "POST" and "7" in path for method, path, _ in host.seen) == 2
    assert urls[0] == urls[1] or meetings == 1
    assert any(url.endswith(str(next(iter(host.marked())))) for url in urls)


def test_a_comment_that_was_made_although_the_reply_got_lost_is_not_made_twice(
    root: Path, host: Host
) -> None:
    lost = [True]

    def lose(method: str, path: str) -> Answer | None:
        if method != "POST" or "7" not in path or not lost:
            return None
        lost.clear()
        host.add(f"{MARK}\n\ntext", host.us)
        return Answer(502, b"<html>Bad Gateway</html>")

    host.before = lose
    comment(root, "text", patience=SOON)
    assert len(host.marked()) == 1


# where it belongs


def test_without_a_ci_system_nothing_is_said_and_nobody_asked(root: Path) -> None:
    assert comment(root, "text") == ""


def test_a_push_is_no_pull_request(root: Path, github: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_REF", "refs/heads/main")
    assert comment(root, "text", patience=SOON) == ""
    assert github.seen == []


@pytest.mark.parametrize(
    ("event", "ref", "number"),
    [
        ({"pull_request": {"number": 12}}, "refs/heads/main", 12),
        ({"issue": {"number": 13, "pull_request": {"url": "x"}}}, "refs/heads/main", 13),
        ({"issue": {"number": 13}}, "refs/heads/main", 0),
        ({"after": "abc"}, "refs/heads/main", 0),
        ({"after": "abc"}, "refs/pull/14/merge", 14),
        ({"pull_request": {"number": "1; rm"}}, "refs/pull/15/head", 15),
        ("broken", "refs/pull/16/merge", 16),
        ([], "refs/pull/x/merge", 0),
        (None, "refs/pull/17/merge", 17),
    ],
)
def test_the_pull_request_is_named_by_the_event_or_by_the_ref(
    tmp_path: Path, event: object, ref: str, number: int
) -> None:
    path = tmp_path / "event.json"
    if event is not None:
        path.write_text(event if isinstance(event, str) else json.dumps(event))
    assert pull_number({"GITHUB_EVENT_PATH": str(path), "GITHUB_REF": ref}) == number


def test_an_enterprise_server_is_asked_below_its_own_path(
    root: Path, github: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_API_URL", f"{github.url}/api/v3")

    def rest(method: str, path: str) -> Answer:
        return Answer(200, {"data": {"viewer": {"login": "us"}}}) if path == "/api/graphql" else Answer(404)

    github.before = rest
    refused(root)
    assert [path.partition("?")[0] for _, path, _ in github.seen] == [
        "/api/graphql",
        "/api/v3/repos/ours/digits/issues/7/comments",
    ]


def test_the_page_of_the_job_gets_the_report_too(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "summary.md"
    page.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    assert comment(root, "# report ✅") == ""
    comment(root, "x" * MOST_SUMMARY_BYTES)
    assert page.read_text() == "before\n# report ✅\n"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "missing" / "summary.md"))
    assert comment(root, "text") == ""


# what a host takes


def test_a_report_of_any_length_is_taken(root: Path, host: Host) -> None:
    line = "| ünïcode ✅ |\n"
    comment(root, "### first line\n" + line * (host.limit // len(line) + 1), patience=SOON)
    body = next(iter(host.marked().values()))
    assert host.limit - 1_100 < len(body) <= host.limit
    assert body.startswith(f"{MARK}\n\n### first line\n")
    assert "Cut here" in body


def test_a_cut_text_closes_what_it_opened() -> None:
    inside = "<details><summary>a</summary>\n\n```text\n" + "line\n" * 2_000
    found = cut(inside, 2_000)
    assert found.count("```") == 2
    assert found.count("</details>") == 1
    assert found.index("</details>") < found.index("Cut here")
    assert len(cut("x" * 5_000, 2_000)) <= 2_000
    assert cut("short", 2_000) == "short"


def test_what_no_host_can_store_is_replaced(root: Path, host: Host) -> None:
    comment(root, "a\0b \ud800 c", patience=SOON)
    assert next(iter(host.marked().values())) == f"{MARK}\n\nab ? c"


def test_gitlab_is_given_no_orders(root: Path, gitlab: Host) -> None:
    comment(root, "ok\n/merge\n  /close\na /b\n", patience=SOON)
    assert next(iter(gitlab.marked().values())).splitlines()[2:] == [
        "ok", "&#47;merge", "  &#47;close", "a /b",
    ]  # fmt: skip
    assert without_commands("1 / 2\n/ 3") == "1 / 2\n/ 3"


# trouble


@pytest.mark.parametrize(
    "answer",
    [
        Answer(429, {"message": "Too Many Requests"}, Retry_After="0"),
        Answer(403, {"message": "You have exceeded a secondary rate limit"}, Retry_After="0"),
        Answer(502, b"<html>Bad Gateway</html>"),
        Answer(503),
    ],
    ids=lambda answer: str(answer.status),
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_trouble_that_passes_is_waited_for(root: Path, host: Host, answer: Answer, method: str) -> None:
    host.before = failing(3, answer, method)
    assert comment(root, "text", patience=SOON)
    assert len(host.marked()) == 1


def test_trouble_that_stays_is_asked_four_times_and_said(root: Path, host: Host) -> None:
    host.before = failing(10**6, Answer(502, b"<html>"))
    error = refused(root)
    assert error.message == "HTTP 502"
    assert error.hint == "run the job again"
    assert sum("7" in path for _, path, _ in host.seen) == 4


def test_a_host_that_wants_a_long_wait_is_not_waited_for(root: Path, host: Host) -> None:
    host.before = failing(10**6, Answer(429, {"message": "Too many"}, Retry_After="3600"))
    assert refused(root).message == "HTTP 429, Too many (asks to wait 3600 s)"
    assert sum("7" in path for _, path, _ in host.seen) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_missing_permission_is_named(root: Path, host: Host, method: str) -> None:
    host.before = failing(10**6, Answer(403, {"message": "Resource not accessible by integration"}), method)
    error = refused(root)
    assert error.message == "HTTP 403, Resource not accessible by integration"
    assert ("pull-requests: write" if isinstance(host, GitHub) else "scope `api`") in error.hint
    assert host.marked() == {}


def test_gitlabs_own_words_about_a_scope_are_passed_on(root: Path, gitlab: Host) -> None:
    body = {"error": "insufficient_scope", "error_description": "The request requires higher privileges"}
    gitlab.before = failing(10**6, Answer(403, body), "POST")
    assert refused(root).message == "HTTP 403, The request requires higher privileges"


def test_a_refused_token_is_to_be_renewed(root: Path, host: Host) -> None:
    host.before = failing(10**6, Answer(401, {"message": "Bad credentials"}))
    error = refused(root)
    assert (error.message, error.hint) == ("HTTP 401, Bad credentials", "renew the token")


@pytest.mark.parametrize("body", [b'{"id": 1', b"<html>login</html>", b'[{"id": "x"}]', b"\xff", b"[1]"])
def test_broken_json_is_no_comment(root: Path, host: Host, body: bytes) -> None:
    host.before = failing(10**6, Answer(200, body))
    assert "no comment in JSON" in refused(root).message


def test_pages_without_end_are_not_followed_forever(root: Path, host: Host) -> None:
    endless = Answer(200, [], Link='<x>; rel="next"', X_Next_Page="2")
    host.before = failing(10**6, endless)
    assert "more than 5,000 comments" in refused(root).message
    assert sum("7" in path for _, path, _ in host.seen) == 50


def test_a_host_that_does_not_answer_costs_bounded_time(root: Path, host: Host) -> None:
    closing = threading.Event()
    host.before = lambda method, path: (closing.wait(20), None)[1]
    error = refused(root, Patience(reply_s=0.05, total_s=0.4, again=1, pause_s=0))
    closing.set()
    assert error.message.startswith("no answer")


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: "]
)
def test_an_answer_that_drips_costs_bounded_time(
    root: Path, github: Host, monkeypatch: pytest.MonkeyPatch, head: bytes
) -> None:
    with dripping(head) as url:
        monkeypatch.setenv("GITHUB_API_URL", url)
        error = refused(root, Patience(reply_s=5, total_s=0.3, again=1, pause_s=0))
    assert error.message == "no answer within 0.3 s"


@contextmanager
def dripping(head: bytes) -> Iterator[str]:
    """A host that sends this at once and then a letter at a time, without end."""
    ended = threading.Event()

    class Drip(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1 << 16)
            self.request.sendall(head)
            while not ended.wait(0.01):
                self.request.sendall(b" ")

    class Server(socketserver.ThreadingTCPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A client that has hung up is what the test is about."""

    with Server(("127.0.0.1", 0), Drip) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        ended.set()
        server.shutdown()
        thread.join()


def test_a_host_that_is_not_there_is_said_in_one_line(
    root: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GITHUB_API_URL", "CI_API_V4_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    error = refused(root)
    assert error.where == "127.0.0.1:1"
    assert "\n" not in str(error)


# the token


def test_a_redirect_to_another_host_does_not_get_the_token(root: Path, host: Host) -> None:
    with serve(GitHub()) as other:
        for status in (301, 302, 307, 308):
            host.before = failing(10**6, Answer(status, None, Location=f"{other.url}/repos"))
            assert "a redirect to 127.0.0.1, which is not followed" in refused(root).message
        assert other.seen == []


def test_the_token_is_in_no_message_exception_or_output(
    root: Path, host: Host, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    echo = Answer(403, {"message": f"no rights: Authorization: Bearer {CANARY}\n\x1b[31m" + "x" * 500})
    moved = Answer(302, None, Location=f"http://{CANARY}.example/")
    replies = [echo, Answer(401, {"message": CANARY}), moved, Answer(200, CANARY.encode()), Answer(500)]
    for reply in replies:
        host.before = failing(10**6, reply)
        error = refused(root, Patience(5, 20, 1, 0))
        shown = "".join(traceback.format_exception(error)) + repr(error) + json.dumps(error.as_dict())
        assert CANARY not in shown
        assert "\x1b" not in shown
        assert len(str(error)) < 220
    host.before = lambda method, path: None
    assert CANARY not in comment(root, "fine", patience=SOON)
    out, err = capfd.readouterr()
    assert CANARY not in out + err + caplog.text
    assert {token for _, _, token in host.seen} == {f"Bearer {CANARY}"}


@pytest.mark.parametrize("broken", [f"{CANARY}\nX-Other: 1", f"{CANARY} two", f"{CANARY}ü"])
def test_a_token_that_fits_into_no_header_is_refused_unseen(
    root: Path, host: Host, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    for name in ("GITHUB_TOKEN", "TIDEGATE_GITLAB_TOKEN"):
        monkeypatch.setenv(name, broken)
    error = refused(root)
    assert CANARY not in "".join(traceback.format_exception(error)) + error.hint
    assert host.seen == []


def test_a_job_without_a_token_hears_which_one_it_needs(
    root: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GITHUB_TOKEN", "TIDEGATE_GITLAB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    error = refused(root)
    assert error.message == "not set, expected a token that may comment"
    assert ("github.token" if isinstance(host, GitHub) else "CI_JOB_TOKEN cannot write notes") in error.hint


def test_gitlabs_second_token_is_taken_when_the_first_is_empty(
    root: Path, gitlab: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_GITLAB_TOKEN", "")
    monkeypatch.setenv("GITLAB_TOKEN", "second")
    comment(root, "text", patience=SOON)
    assert {token for _, _, token in gitlab.seen} == {"Bearer second"}


@pytest.mark.parametrize("address", ["ftp://host/api", "http://user:pw@host/", "host", "http://a b/"])
def test_an_address_that_is_none_is_refused(
    root: Path, host: Host, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    for name in ("GITHUB_API_URL", "CI_API_V4_URL"):
        monkeypatch.setenv(name, address)
    error = refused(root)
    assert error.where in ("GITHUB_API_URL", "CI_API_V4_URL")
    assert "pw" not in str(error)


def test_a_certificate_that_nobody_trusts_ends_it(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path / "host.pem"))
    with serve(GitHub(), context) as host:
        enter(host, monkeypatch)
        error = refused(root)
        assert "CERTIFICATE_VERIFY_FAILED" in error.message
        assert "SSL_CERT_FILE" in error.hint
        assert host.seen == []
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "host.pem"))
        assert comment(root, "text", patience=SOON)


def self_signed(path: Path) -> Path:
    from datetime import UTC, datetime, timedelta
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stand-in")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    return path
