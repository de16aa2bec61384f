"""The one Jinja environment: StrictUndefined, templates from hls_templates/. Logic stays in Python."""

from __future__ import annotations

import jinja2

from hwq.places import directory


def environment() -> jinja2.Environment:
    """A fresh environment: nothing is shared between two generations."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(directory("hls_templates")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=jinja2.select_autoescape(("html.j2", "html")),
    )


def render(name: str, **values: object) -> str:
    """The text of the template `name` (a path below hls_templates/)."""
    return environment().get_template(name).render(**values)
