"""The bundles behind a MONAI Label server: `start` becomes it, `app` is what it loads, `served` is one bundle in it."""
