"""The HTML pages: views, templates and figures."""
