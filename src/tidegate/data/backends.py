"""How the options of DVC's remotes become arguments of fsspec's file systems, the way DVC's own plugins do it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tidegate.data.config import RemoteConfig, is_true
from tidegate.data.wire import Backend, load
from tidegate.errors import UsageError

Options = Mapping[str, str]

_SSH_CIPHERS = ["aes128-gcm@openssh.com", "aes256-ctr", "aes192-ctr", "aes128-ctr"]
_SSH_TIMEOUT_S = 1800
_GRANTS = {
    "grant_full_control": "GrantFullControl",
    "grant_read": "GrantRead",
    "grant_read_acp": "GrantReadACP",
    "grant_write_acp": "GrantWriteACP",
}
# sizes and numbers of parts, which concern only the transfers of DVC's plugin
_S3_TRANSFER_KEYS = (
    "max_queue_size",
    "max_concurrent_requests",
    "multipart_threshold",
    "multipart_chunksize",
)


def _make_s3(config: RemoteConfig) -> Any:
    system = load("s3fs:S3FileSystem")(**_FRESH, **s3_arguments(config.options, config.name))
    # boto, s3fs and tidegate would each try again: a minute without an answer from a wrong address
    system.retries = 1
    return system


def s3_arguments(options: Options, name: str) -> dict[str, Any]:
    """Arguments of `s3fs.S3FileSystem`; what is not set is left to boto's own configuration."""
    for option, variable in (
        ("credentialpath", "AWS_SHARED_CREDENTIALS_FILE"),
        ("configpath", "AWS_CONFIG_FILE"),
    ):
        if option in options:
            os.environ.setdefault(variable, options[option])
    client = {
        "region_name": options.get("region"),
        "endpoint_url": options.get("endpointurl"),
        "verify": ssl_verify(options),
    }
    timeouts = {key: int(options[key]) for key in ("read_timeout", "connect_timeout") if key in options}
    arguments = {
        "key": options.get("access_key_id"),
        "secret": options.get("secret_access_key"),
        "token": options.get("session_token"),
        "profile": options.get("profile"),
        "use_ssl": is_true(options, "use_ssl", default=True),
        "anon": is_true(options, "allow_anonymous_login") or None,
        "client_kwargs": _set(client),
        "config_kwargs": {"retries": {"max_attempts": 0}} | timeouts | _s3_section(options.get("profile")),
        "s3_additional_kwargs": _s3_extras(options, name),
        "cache_regions": _caches_regions(options) or None,
    }
    return _set(arguments)


def _s3_extras(options: Options, name: str) -> dict[str, Any]:
    import base64

    grants = {argument: options[option] for option, argument in _GRANTS.items() if option in options}
    if grants and "acl" in options:
        raise UsageError(f"remote {name}", "`acl` and `grant_*` exclude each other, expected one of them")
    key = options.get("sse_customer_key")
    if key and "sse_kms_key_id" in options:
        raise UsageError(f"remote {name}", "`sse_kms_key_id` and `sse_customer_key` exclude each other")
    extras = {
        "ServerSideEncryption": options.get("sse"),
        "SSECustomerAlgorithm": options.get("sse_customer_algorithm") or ("AES256" if key else None),
        "SSECustomerKey": base64.b64decode(key) if key else None,
        "SSEKMSKeyId": options.get("sse_kms_key_id"),
        "ACL": options.get("acl"),
    }
    return _set(extras) | grants


def _s3_section(profile: str | None) -> dict[str, Any]:
    """The `s3` settings of the profile in boto's config file, such as `addressing_style`."""
    file = Path(os.environ.get("AWS_CONFIG_FILE") or Path.home() / ".aws" / "config")
    if not file.exists():
        return {}
    section = (
        load("botocore.configloader:load_config")(str(file))["profiles"]
        .get(profile or "default", {})
        .get("s3", {})
    )
    chosen = {key: value for key, value in section.items() if key not in _S3_TRANSFER_KEYS}
    return {"s3": chosen} if chosen else {}


def _caches_regions(options: Options) -> bool:
    named = "region" in options or "AWS_REGION" in os.environ
    return not named and is_true(options, "cache_regions", default=True)


def _make_gs(config: RemoteConfig) -> Any:
    return load("gcsfs:GCSFileSystem")(**_FRESH, **gs_arguments(config.options))


def gs_arguments(options: Options) -> dict[str, Any]:
    """Arguments of `gcsfs.GCSFileSystem`."""
    anonymous = is_true(options, "allow_anonymous_login")
    chosen = {
        "project": options.get("projectname"),
        "token": "anon" if anonymous else options.get("credentialpath"),
        "endpoint_url": options.get("endpointurl"),
    }
    return {"consistency": None, "session_kwargs": {"trust_env": True}, **_set(chosen)}


def _make_azure(config: RemoteConfig) -> Any:
    make = load("adlfs:AzureBlobFileSystem")
    arguments = azure_arguments(config.options, config.name)
    if _needs_default_credential(arguments, config.options):
        arguments["credential"] = _azure_credential(config.options)
    return make(**_FRESH, **arguments)


def azure_arguments(options: Options, name: str) -> dict[str, Any]:
    """Arguments of `adlfs.AzureBlobFileSystem`, completed from the environment and Azure's own config file."""
    default = _azure_section()
    chosen = {
        "connection_string": options.get("connection_string", default.get("connection_string")),
        "account_name": options.get("account_name", default.get("account")),
        "account_key": options.get("account_key", default.get("key")),
        "sas_token": options.get("sas_token", default.get("sas_token")),
        **{key: options.get(key) for key in ("tenant_id", "client_id", "client_secret")},
    }
    arguments = _set(chosen)
    if not {"account_name", "connection_string"} & arguments.keys():
        hint = f"tidegate remote modify {name} account_name NAME"
        raise UsageError(
            f"remote {name}", "no `account_name`, expected it or a `connection_string`", hint=hint
        )
    return arguments


def _azure_section() -> dict[str, str]:
    from configparser import ConfigParser

    folder = os.environ.get("AZURE_CONFIG_DIR") or Path.home() / ".azure"
    parser = ConfigParser(interpolation=None)
    parser.read(Path(folder) / "config")
    found = dict(parser["storage"]) if parser.has_section("storage") else {}
    prefix = "AZURE_STORAGE_"
    named = {
        key.removeprefix(prefix).lower(): value for key, value in os.environ.items() if key.startswith(prefix)
    }
    return found | named


def _needs_default_credential(arguments: Mapping[str, Any], options: Options) -> bool:
    is_enough = arguments.keys() - {"account_name"}
    return not is_enough and not is_true(options, "allow_anonymous_login")


def _azure_credential(options: Options) -> Any:
    kinds = ("environment", "visual_studio_code", "shared_token_cache", "managed_identity")
    names = [f"exclude_{kind}_credential" for kind in kinds]
    return load("azure.identity.aio:DefaultAzureCredential")(
        exclude_interactive_browser_credential=False, **{name: is_true(options, name) for name in names}
    )


def _make_ssh(config: RemoteConfig) -> Any:
    return load("sshfs:SSHFileSystem")(skip_instance_cache=True, **ssh_arguments(config))


def ssh_arguments(config: RemoteConfig) -> dict[str, Any]:
    """Arguments of `sshfs.SSHFileSystem`; options of the remote win over the url."""
    from urllib.parse import unquote, urlsplit

    options, url = config.options, urlsplit(config.url)
    secrets = {key: options.get(key) or _ask(config, key) for key in ("password", "passphrase")}
    if not secrets["password"] and url.password:
        secrets["password"] = unquote(url.password)
    port = options.get("port") or url.port
    chosen = {
        "host": url.hostname,
        "username": options.get("user") or url.username,
        "port": int(port) if port else None,
        "client_keys": [str(Path(options["keyfile"]).expanduser())] if "keyfile" in options else None,
        "preferred_auth": _ssh_methods(options, secrets) or None,
        "max_sessions": int(options["max_sessions"]) if "max_sessions" in options else None,
        **secrets,
    }
    return {
        **_set(chosen),
        "timeout": int(options.get("timeout", _SSH_TIMEOUT_S)),
        "encryption_algs": _SSH_CIPHERS,
        "compression_algs": None,
        "gss_auth": is_true(options, "gss_auth"),
        "agent_forwarding": True,
    }


def _ssh_methods(options: Options, secrets: Mapping[str, str | None]) -> list[str]:
    """Only what is configured is tried, so that no other key asks for its passphrase."""
    by_key = ["publickey"] if "keyfile" in options or secrets["passphrase"] else []
    return by_key + (["keyboard-interactive", "password"] if secrets["password"] else [])


def _ask(config: RemoteConfig, what: str) -> str | None:
    if not is_true(config.options, f"ask_{what}"):
        return None
    return ask_secret(f"{what} for remote {config.name}")


def ask_secret(what: str) -> str | None:
    """What the user types, unseen; None where nobody can be asked."""
    from getpass import getpass

    try:
        return getpass(f"{what}: ")
    except EOFError:
        return None


def ssl_verify(options: Options) -> bool | str | None:
    """Whether to verify certificates, or the file of those to trust; None leaves it to the library."""
    value = options.get("ssl_verify")
    return value.lower() == "true" if value and value.lower() in ("true", "false") else value


def _set(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None and value != {}}


# fsspec would hand out an object made before, with its listings and its credentials
_FRESH = {"skip_instance_cache": True, "use_listings_cache": False}
_AIOHTTP = ("aiohttp:ClientError",)
BACKENDS: Mapping[str, Backend] = {
    "s3": Backend(
        "s3",
        _make_s3,
        ("botocore.exceptions:BotoCoreError", "botocore.exceptions:ClientError", *_AIOHTTP),
        ("botocore.exceptions:NoCredentialsError", "botocore.exceptions:ProfileNotFound"),
    ),
    "gs": Backend(
        "gs",
        _make_gs,
        ("gcsfs.retry:HttpError", "google.auth.exceptions:TransportError", *_AIOHTTP),
        ("google.auth.exceptions:GoogleAuthError",),
    ),
    "azure": Backend(
        "az",
        _make_azure,
        ("azure.core.exceptions:AzureError",),
        ("azure.core.exceptions:ClientAuthenticationError",),
    ),
    "ssh": Backend(
        "ssh",
        _make_ssh,
        ("asyncssh:Error",),
        ("asyncssh:PermissionDenied", "asyncssh:KeyImportError"),
        is_ranged=False,
        is_atomic=False,
    ),
}
