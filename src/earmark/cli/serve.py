"""``earmark serve``: the page and the HTTP API."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from earmark.cli.classify import BundleOption, JobsOption
from earmark.cli.scan import CatalogueOption


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command("serve")(serve)


def serve(
    host: Annotated[str, typer.Option(help="Where to listen; other than this machine needs --allow-remote.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="0: any that is free.", min=0, max=65535)] = 8765,
    bundle: BundleOption = None,
    catalogue: CatalogueOption = None,
    runs: Annotated[
        Path | None,
        typer.Option(help="A folder of runs (crossval, reproduce) to show.", metavar="FOLDER", show_default=False),
    ] = None,
    jobs: JobsOption = None,
    token: Annotated[
        str | None,
        typer.Option(
            help="A secret text that every request must carry. Default: EARMARK_TOKEN, or none.",
            envvar="EARMARK_TOKEN",
            show_envvar=False,
            show_default=False,
        ),
    ] = None,
    max_upload: Annotated[float, typer.Option(help="Megabytes that a file may have.", min=0.001)] = 200,
    max_seconds: Annotated[float, typer.Option(help="Seconds of sound to decode of a file at most.", min=1)] = 3600,
    time_limit: Annotated[float, typer.Option(help="Give a file up after so many seconds.", min=0.1)] = 60,
    allow_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Let other machines in, if --host says so.")
    ] = False,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="Another name under which the server is reached.", metavar="NAME", show_default=False),
    ] = None,
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = False,
) -> None:
    """Serve the page and the HTTP API until Ctrl-C.

    Only this machine is answered, and no page of another site. Nothing is loaded from elsewhere.
    """
    import logging

    from earmark.library.pool import default_jobs
    from earmark.server.settings import LOOPBACK, Settings

    settings = Settings(
        host=host,
        port=port,
        bundle=bundle,
        catalogue=catalogue,
        runs=runs,
        jobs=jobs or default_jobs(),
        token=token,
        max_upload=max_upload,
        max_seconds=max_seconds,
        time_limit=time_limit,
        allow_remote=allow_remote,
        allow_hosts=tuple(allow_host or ()),
    )

    from earmark.server.run import serve as run

    def started(address: str) -> None:
        secret = f"?token={token}" if token is not None else ""
        typer.echo(f"Earmark listens at {address}{secret} (Ctrl-C ends it).")
        if host not in LOOPBACK:
            who = "whoever knows the token" if token is not None else "EVERYONE there, as there is no --token,"
            typer.echo(
                f"Other machines can reach it: {who} can have sound heard, read this library's file names and tags, "
                "listen to its songs and correct its genres. Nothing is encrypted.",
                err=True,
            )
        if open_page:
            import webbrowser

            webbrowser.open(address + secret)

    # Every broken form would get a line of its own; whoever sends them shall not fill the terminal.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    # Ctrl-C is how it is meant to end.
    with contextlib.suppress(KeyboardInterrupt):
        run(settings, started=started)
