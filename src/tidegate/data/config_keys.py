"""Which sections and keys DVC's config knows, and of what kind each value is."""

from collections.abc import Mapping

from tidegate.errors import UsageError, did_you_mean

LINKS = ("reflink", "hardlink", "symlink", "copy")


def _keys(**kinds: str) -> dict[str, str]:
    return {key: kind for kind, keys in kinds.items() for key in keys.split()}


_REMOTE = _keys(text="url", count="checksum_jobs jobs", flag="worktree no_traverse version_aware")
_LOCAL = {
    **_keys(links="type", flag="protected slow_link_warning verify"),
    "shared": "group",
}
_HTTP = {
    **_keys(text="custom_auth_header user password method", flag="ask_password verify"),
    **_keys(flag_or_text="ssl_verify", number="connect_timeout read_timeout"),
    "auth": "basic|digest|custom",
}
_WEBDAV = {
    **_keys(text="user password token bearer_token_command custom_auth_header cert_path key_path"),
    **_keys(flag="ask_password verify", integer="timeout", flag_or_text="ssl_verify"),
}
_S3 = {
    **_keys(text="region profile credentialpath configpath endpointurl access_key_id secret_access_key"),
    **_keys(text="session_token sse sse_kms_key_id sse_customer_algorithm sse_customer_key acl"),
    **_keys(text="grant_read grant_read_acp grant_write_acp grant_full_control"),
    **_keys(flag="listobjects use_ssl allow_anonymous_login cache_regions verify"),
    **_keys(flag_or_text="ssl_verify", integer="read_timeout connect_timeout"),
}
_GS = _keys(text="projectname credentialpath endpointurl", flag="verify allow_anonymous_login")
_SSH = {
    **_keys(text="user password passphrase keyfile", integer="port timeout max_sessions", links="type"),
    **_keys(flag="ask_password ask_passphrase gss_auth allow_agent verify"),
}
_AZURE = {
    **_keys(text="connection_string sas_token account_name account_key tenant_id client_id client_secret"),
    **_keys(flag="allow_anonymous_login exclude_environment_credential verify"),
    **_keys(flag="exclude_visual_studio_code_credential exclude_shared_token_cache_credential"),
    **_keys(flag="exclude_managed_identity_credential", integer="timeout read_timeout connection_timeout"),
}
_GDRIVE = {
    **_keys(flag="gdrive_use_service_account gdrive_trash_only gdrive_acknowledge_abuse verify"),
    **_keys(text="profile gdrive_client_id gdrive_client_secret gdrive_user_credentials_file"),
    **_keys(text="gdrive_service_account_user_email gdrive_service_account_json_file_path"),
}
_WEBHDFS = {
    **_keys(flag="kerberos use_https verify", flag_or_text="ssl_verify"),
    **_keys(text="kerberos_principal proxy_to token user password data_proxy_target"),
}
# the options of a remote by the scheme of its url; those without an implementation are DVC's all the same
REMOTE_KEYS: Mapping[str, Mapping[str, str]] = {
    "": _LOCAL | _REMOTE,
    "s3": _S3 | _REMOTE,
    "gs": _GS | _REMOTE,
    "azure": _AZURE | _REMOTE,
    "ssh": _SSH | _REMOTE,
    "http": _HTTP | _REMOTE,
    "https": _HTTP | _REMOTE,
    "webdav": _WEBDAV | _REMOTE,
    "webdavs": _WEBDAV | _REMOTE,
    "gdrive": _GDRIVE | _REMOTE,
    "hdfs": _keys(text="user kerb_ticket", integer="replication") | _REMOTE,
    "webhdfs": _WEBHDFS | _REMOTE,
    "oss": _keys(text="oss_key_id oss_key_secret oss_endpoint", flag="verify") | _REMOTE,
}
SECTION_KEYS: Mapping[str, Mapping[str, str]] = {
    "core": {
        **_keys(lower="remote machine", count="checksum_jobs", text="site_cache_dir"),
        **_keys(flag="interactive analytics hardlink_lock no_scm autostage experiments check_update"),
    },
    "cache": _keys(text="local s3 gs hdfs webhdfs ssh azure dir") | _LOCAL,
    "state": _keys(text="dir", integer="row_limit row_cleanup_quota"),
    "index": _keys(text="dir"),
    "feature": _keys(flag="machine"),
    "plots": _keys(text="html_template out_dir", flag="auto_open"),
    "exp": _keys(text="code data models metrics params plots live git_remote", flag="auto_push"),
    "parsing": {"bool": "store_true|boolean_optional", "list": "nargs|append"},
    "hydra": _keys(text="config_dir config_module config_name plugins_path", flag="enabled"),
    "studio": _keys(text="token url repo_url", flag="offline"),
}
NAMED_KEYS: Mapping[str, Mapping[str, str]] = {
    "machine": {
        **_keys(text="image ssh_private startup_script setup_script", lower="instance_type instance_gpu"),
        **_keys(number="spot_price", integer="instance_hdd_size", flag="spot"),
        "cloud": "aws|azure",
        "region": "us-west|us-east|eu-west|eu-north",
    },
    "db": _keys(text="url username password"),
}
# relative to the folder of the config file that says it
PATH_KEYS = frozenset(
    _keys(
        text="url gdrive_user_credentials_file gdrive_service_account_json_file_path credentialpath configpath "
        "keyfile cert_path key_path startup_script setup_script"
    )
)
SECRET_KEYS = frozenset(
    _keys(
        text="password passphrase secret_access_key session_token access_key_id sse_customer_key sas_token token "
        "account_key client_secret connection_string oss_key_id oss_key_secret gdrive_client_secret"
    )
)


def scheme_of(url: str) -> str:
    """The scheme that decides about a remote; empty for a local directory, also as `file:///`."""
    scheme, mark, rest = url.partition("://")
    return scheme.lower() if mark and rest and not rest.startswith("/") and scheme.lower() != "file" else ""


def check_value(kind: str, value: str, where: str) -> None:
    """UsageError unless the value is of the kind that the tables above name; never shows the value."""
    if kind in ("text", "lower", "flag_or_text"):
        return
    expected = _EXPECTED.get(kind) or "one of " + ", ".join(kind.split("|"))
    if not _is_of_kind(kind, value):
        raise UsageError(where, f"`{value[:40]}` found, expected {expected}")


def check_key(key: str, known: Mapping[str, str], where: str) -> str:
    """The kind of a key; UsageError with the nearest name for an unknown one."""
    if key not in known:
        raise UsageError(where, f"unknown key `{key}`{did_you_mean(key, known)}")
    return known[key]


_EXPECTED = {
    "flag": "true or false",
    "count": "a whole number from 1",
    "integer": "a whole number",
    "number": "a number from 0",
    "links": f"a list of {', '.join(LINKS)}",
}


def _is_of_kind(kind: str, value: str) -> bool:
    if kind == "flag":
        return value.lower() in ("true", "false")
    if kind == "links":
        return {link.strip() for link in value.split(",")} <= set(LINKS)
    if kind in ("count", "integer"):
        return value.strip().isdecimal() and int(value) >= (kind == "count")
    if kind == "number":
        return value.strip().replace(".", "", 1).isdecimal()
    return value.lower() in kind.split("|")
