"""The browser app, `medfusion web`: Slicer's own scene and views on trame-slicer.

`server` stands in front and starts a process for every tab (`tab`), so that tabs share nothing; `guard` and `uploads`
refuse what must not come in. In a tab, `session` holds the scene and does the work without knowing of a browser,
`forms` and `scores` describe it for the page, `views` shows it, `panel` is the page and `actions` what its buttons do.
"""
