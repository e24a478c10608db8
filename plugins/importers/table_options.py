"""The options that every importer of tables has. Not an importer itself."""

from __future__ import annotations

from pydantic import Field as OptionField

from fieldmark import Options


class TableOptions(Options):
    """Where the table and its columns are; what is left empty is found out."""

    image_column: str | None = OptionField(
        default=None,
        description="The column with the names of the images",
        json_schema_extra={"choices_from": "column"},
    )
    split_column: str | None = OptionField(
        default=None,
        description="The column that says train, validation or test",
        json_schema_extra={"choices_from": "column"},
    )
    delimiter: str | None = OptionField(
        default=None, description="What stands between cells: , ; | tab or space"
    )
    encoding: str | None = OptionField(
        default=None, description="The file's text encoding, such as utf-8 or cp1252"
    )
    file: str | None = OptionField(
        default=None, description="The table inside a folder or zip that holds several"
    )
