"""What assets of a simulated site are rated, put into its site file."""

from __future__ import annotations

from collections.abc import Mapping


def with_settings(text: str, settings: Mapping[str, Mapping[str, object]]) -> str:
    """Return a site file in which assets have further fields.

    Args:
        text: A site file as `simulators.model.layouts.site_text` writes it.
        settings: The fields of each asset, by its id; numbers.

    Raises:
        ValueError: Where the site file has no such asset.
    """
    missing = set(settings)
    lines: list[str] = []
    for line in text.splitlines():
        lines.append(line)
        name = line.removeprefix('id = "').rstrip('"')
        if line.startswith('id = "') and name in settings:
            lines += [f"{key} = {value}" for key, value in settings[name].items()]
            missing.discard(name)
    if missing:
        raise ValueError(f"expected assets of the site, found {sorted(missing)}")
    return "\n".join(lines) + "\n"
