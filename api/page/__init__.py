"""The operations page: what the admin interface tells, for people (docs/page.md).

`routes` answers, `feed` reads once a second for all who look, `figures` make numbers into what the
templates show, `history` remembers an hour, `editor` changes limits, `sessions` knows who looks.
"""
