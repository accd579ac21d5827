"""Configuration of the documentation site, built by scripts/docs.

The source folder is the repository's root, so that links between documents work in a checkout and on the site alike.
"""

from importlib.metadata import version as version_of

project = "render-trio"
copyright = "the render-trio authors"
version = release = version_of("render-trio")
html_title = f"{project} {version}"

extensions = ["myst_parser"]
root_doc = "docs/index"
source_suffix = {".md": "markdown"}
include_patterns = [
    "docs/**.md",
    "emulator/PROTOCOL.md",
    "static/artwork/README.md",
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
]
# Folders that hold no documents, so that Sphinx doesn't search them.
exclude_patterns = [".*", "out", "data", "node_modules", "tests", "render_trio", "resources", "scripts", "templates"]

myst_heading_anchors = 4  # the same anchors as on code-hosting sites; tests/docs/markdown.py computes them as well
# The HTTP examples of PROTOCOL.md are a request and its reply in one block, which no lexer can read.
suppress_warnings = ["misc.highlighting_failure"]
nitpicky = True
smartquotes = False  # would turn the -- of an option into a dash

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_extra_path = ["_site"]  # index.html, which leads to docs/index.html
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "default"
