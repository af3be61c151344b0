"""A server on this machine that speaks the endpoints of the Hugging Face Hub that are used.

It was written after what ``huggingface_hub`` 2.4 sends, not after the Hub's own code, and knows
neither Xet nor permissions beyond one token.
"""

import base64
import hashlib
import json
import threading
from dataclasses import dataclass, field
from typing import Any, Self

from flask import Flask, Response, jsonify, request
from werkzeug.serving import make_server

TOKEN = "hf_mellon"


@dataclass
class Repo:
    """A repository: its files at each commit, by the commits in their order."""

    is_private: bool
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    @property
    def head(self) -> str:
        return [*self.commits][-1]

    def commit_of(self, revision: str) -> str | None:
        if revision == "main":
            return self.head
        return revision if revision in self.commits else None

    def commit(self, files: dict[str, bytes]) -> str:
        oid = hashlib.sha1(repr((len(self.commits), sorted(files))).encode()).hexdigest()
        self.commits[oid] = files
        return oid


class HubServer:
    """The server, while the context is open.

    Attributes:
        repos: by their names.
        requests: what was asked for, as method and path.
        is_down: it answers 503.
    """

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.uploads: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.is_down = False
        self._server = make_server("127.0.0.1", 0, self._app(), threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def new_repo(self, name: str, *, is_private: bool) -> Repo:
        repo = self.repos.setdefault(name, Repo(is_private))
        if not repo.commits:
            repo.commit({".gitattributes": b""})
        return repo

    def _app(self) -> Flask:
        app = Flask(__name__)

        @app.before_request
        def before() -> Any:
            self.requests.append(f"{request.method} {request.path}")
            return ("down", 503) if self.is_down else None

        app.add_url_rule(
            "/api/validate-yaml",
            view_func=lambda: {"errors": [], "warnings": []},
            methods=["POST"],
        )
        app.add_url_rule("/api/repos/create", view_func=self._create, methods=["POST"])
        app.add_url_rule("/api/models/<u>/<m>/tree/<rev>", view_func=self._tree)
        app.add_url_rule("/api/models/<u>/<m>/revision/<rev>", view_func=self._info)
        app.add_url_rule("/api/models/<u>/<m>", view_func=self._info)
        app.add_url_rule(
            "/api/models/<u>/<m>/preupload/main", view_func=self._preupload, methods=["POST"]
        )
        app.add_url_rule(
            "/<u>/<m>.git/info/lfs/objects/batch", view_func=self._batch, methods=["POST"]
        )
        app.add_url_rule("/upload/<oid>", view_func=self._upload, methods=["PUT"])
        app.add_url_rule(
            "/api/models/<u>/<m>/commit/main", view_func=self._commit, methods=["POST"]
        )
        app.add_url_rule("/<u>/<m>/resolve/<rev>/<path:name>", view_func=self._resolve)
        return app

    def _is_known(self) -> bool:
        return request.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _find(self, name: str, rev: str = "main") -> tuple[Repo, str] | Response:
        repo = self.repos.get(name)
        if repo is None or (repo.is_private and not self._is_known()):
            return _error("RepoNotFound", "Repository not found")
        commit = repo.commit_of(rev)
        if commit is None:
            return _error("RevisionNotFound", "Revision not found")
        return repo, commit

    def _create(self) -> Any:
        if not self._is_known():
            return jsonify(error="Invalid username or password."), 401
        body = request.get_json()
        name = f"{body.get('organization') or 'frodo'}/{body['name']}"
        is_there = name in self.repos
        self.new_repo(name, is_private=body.get("visibility") == "private")
        answer = {"url": f"{self.url}/{name}"}
        return (jsonify(answer | {"error": "You already created it"}), 409) if is_there else answer

    def _tree(self, u: str, m: str, rev: str) -> Any:
        found = self._find(f"{u}/{m}", rev)
        if isinstance(found, Response):
            return found
        repo, commit = found
        return jsonify(
            [
                {"type": "file", "path": name, "size": len(content), "oid": _sha1(content)}
                for name, content in repo.commits[commit].items()
            ]
        )

    def _info(self, u: str, m: str, rev: str = "main") -> Any:
        found = self._find(f"{u}/{m}", rev)
        if isinstance(found, Response):
            return found
        repo, commit = found
        files = [{"rfilename": name} for name in repo.commits[commit]]
        return {"id": f"{u}/{m}", "sha": commit, "siblings": files, "private": repo.is_private}

    def _preupload(self, u: str, m: str) -> Any:
        files = request.get_json()["files"]
        return {
            "files": [
                {
                    "path": each["path"],
                    "uploadMode": "lfs" if each["size"] > 10_000 else "regular",
                    "shouldIgnore": False,
                }
                for each in files
            ]
        }

    def _batch(self, u: str, m: str) -> Any:
        objects = request.get_json()["objects"]
        href = {each["oid"]: f"{self.url}/upload/{each['oid']}" for each in objects}
        return {
            "transfer": "basic",
            "objects": [
                each | {"actions": {"upload": {"href": href[each["oid"]], "header": {}}}}
                for each in objects
            ],
        }

    def _upload(self, oid: str) -> Any:
        content = request.get_data()
        assert hashlib.sha256(content).hexdigest() == oid
        self.uploads[oid] = content
        return ""

    def _commit(self, u: str, m: str) -> Any:
        repo = self.repos[f"{u}/{m}"]
        files = dict(repo.commits[repo.head])
        for line in request.get_data().splitlines():
            part = json.loads(line)
            value = part["value"]
            if part["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif part["key"] == "lfsFile":
                files[value["path"]] = self.uploads[value["oid"]]
            elif part["key"] == "deletedFile":
                del files[value["path"]]
        oid = repo.commit(files)
        return {"commitUrl": f"{self.url}/{u}/{m}/commit/{oid}", "commitOid": oid}

    def _resolve(self, u: str, m: str, rev: str, name: str) -> Any:
        found = self._find(f"{u}/{m}", rev)
        if isinstance(found, Response):
            return found
        repo, commit = found
        content = repo.commits[commit].get(name)
        if content is None:
            return _error("EntryNotFound", "Entry not found")
        response = Response(content, mimetype="application/octet-stream")
        response.headers["X-Repo-Commit"] = commit
        response.headers["ETag"] = f'"{hashlib.sha256(content).hexdigest()}"'
        return response


def _error(code: str, message: str) -> Response:
    response: Response = jsonify(error=message)
    response.status_code = 404
    response.headers |= {"X-Error-Code": code, "X-Error-Message": message}
    return response


def _sha1(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()
