"""The `fieldmark` command: its groups, each in a file of its own."""

from __future__ import annotations

import typer

from fieldmark.cli import demo, labels, models, plugins, predict, projects, serve, train, upload, version

app = typer.Typer(
    name="fieldmark",
    help="From a folder of images to an image classifier you can trust.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("demo")(demo.demo)
app.command("serve")(serve.serve)
app.command("projects")(projects.list_projects)
app.add_typer(projects.group, name="project")
app.command("upload")(upload.upload)
app.add_typer(labels.group, name="labels")
app.command("train")(train.train)
app.add_typer(models.group, name="models")
app.command("stats")(models.stats)
app.command("predict")(predict.predict)
app.add_typer(plugins.group, name="plugins")
app.command("version")(version.version)
