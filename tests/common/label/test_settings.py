from common.label.settings import ServerSettings, from_environment, take_token


def test_a_process_reads_what_the_server_was_started_with(monkeypatch):
    settings = ServerSettings(True, ("https://viewer:8",), 10, 2.5, 3)
    monkeypatch.setenv(*next(iter(settings.environment().items())))
    assert from_environment() == settings
    assert set(settings.hosts) == {"127.0.0.1", "localhost", "::1", "viewer"}


def test_nothing_is_open_by_default(monkeypatch):
    monkeypatch.delenv("LABEL_SERVER", raising=False)
    settings = from_environment()
    assert not settings.writable and settings.origins == ()


def test_a_process_started_later_does_not_see_the_token():
    variables = {"LABEL_TOKEN": "secret"}
    assert take_token(variables) == "secret"
    assert variables == {} and take_token(variables) is None and take_token({"LABEL_TOKEN": ""}) is None
