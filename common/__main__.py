"""`python -m common VERB`: what a person types beside `python -m monai.bundle`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .bundle import bundle_names, bundle_roots, installed_bundles_folder


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the verb in `arguments` and return the exit status."""
    parser = _parser()
    options, settings = parser.parse_known_args(arguments)
    if settings and options.verb != "simulate":
        parser.error(f"unknown arguments: {' '.join(settings)}")
    if options.verb == "label":
        return _label(options, parser)
    unknown = set(_named(options)) - set(bundle_names())
    if unknown:
        parser.error(f"expected bundles among {', '.join(bundle_names())}, found {', '.join(sorted(unknown))}")
    if options.verb == "simulate":
        from .commands.demo import simulate

        return simulate(options.bundle, options.directory, settings)
    if options.verb == "weights":
        return _weights(options)
    if options.verb == "pack":
        return _pack(options)
    if options.verb == "ablate":
        from .commands.ablation import ablate

        return ablate(options.bundle, options.output)
    from .commands.demo import demo

    return demo(options.bundles or bundle_names(), options.output)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m common", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    simulate = verbs.add_parser(
        "simulate",
        help="write simulated cases in the layout of a public data set",
        description="Write simulated cases. Further settings of the phantom as --name value, e.g. --cases 40 --seed 1.",
    )
    simulate.add_argument("bundle", help="bundle whose kind of data to write")
    simulate.add_argument("directory", type=Path, help="folder to write to")
    demo = verbs.add_parser(
        "demo",
        help="simulate, train, evaluate, infer and report, in minutes",
        description="Run every stage of the bundles on simulated data and write one report.html each.",
    )
    demo.add_argument("bundles", nargs="*", help="bundles to run (default: all)")
    demo.add_argument("--output", type=Path, default=Path("demo_output"), help="folder to write to")
    for verb, purpose, description in (
        (
            "weights",
            "make the weights that a bundle ships anew",
            "Simulate, train, evaluate by the bundle's weights.json; the weights go to OUTPUT/BUNDLE/models.",
        ),
        (
            "ablate",
            "put the paper's claim about its training to the test",
            "Train and evaluate the arms of the bundle's ablation.json; the table goes to OUTPUT/BUNDLE.",
        ),
    ):
        of_one = verbs.add_parser(verb, help=purpose, description=description)
        of_one.add_argument("bundle", help="bundle whose plan to run")
        of_one.add_argument("--output", type=Path, required=True, help="folder to write to")
        if verb == "weights":
            of_one.add_argument("--real_data", type=Path, help="folder of the real images that a plan asks for")
    pack = verbs.add_parser(
        "pack",
        help="write bundles as zips that work anywhere",
        description="Write B.zip, the same as B_vVERSION.zip, and SHA256SUMS.",
    )
    pack.add_argument("bundles", nargs="*", help="bundles to pack (default: all)")
    pack.add_argument("--output", type=Path, required=True, help="folder to write to")
    pack.add_argument("--without-weights", action="store_true", help="pack a bundle that has no weights, too")
    label = verbs.add_parser(
        "label",
        help="serve bundles to 3D Slicer or OHIF by MONAI Label",
        description="Start a MONAI Label server, offline; common/label/SECURITY.md says what it protects and how.",
    )
    label.add_argument("--studies", type=Path, required=True, help="folder with images")
    label.add_argument("--models", default="", help="bundles to serve, joined by commas (default: all)")
    label.add_argument("--bundles", type=Path, help="folder with unpacked zips (default: the bundles of this checkout)")
    label.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine alone)")
    label.add_argument("--port", type=int, default=8000)
    label.add_argument("--state", type=Path, help="folder for weights and logs (default: STUDIES_label_server)")
    label.add_argument("--writable", action="store_true", help="let clients add studies and save labels")
    label.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="URL",
        help="web page that may ask, or name of this server behind a proxy, as https://NAME[:PORT]; may be repeated",
    )
    label.add_argument("--max-upload-mib", type=int, default=2048, help="largest request (default: 2048)")
    label.add_argument("--max-seconds", type=float, default=600, help="longest time for one answer (default: 600)")
    label.add_argument("--max-memory-gib", type=float, default=16, help="memory for the answers (default: 16)")
    return parser


def _label(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    from .label.settings import ServerSettings, checked_origin
    from .label.start import start

    folder = options.bundles or installed_bundles_folder()
    try:
        known = bundle_roots(folder)
        settings = ServerSettings(
            options.writable,
            tuple(checked_origin(origin) for origin in options.allow_origin),
            options.max_upload_mib,
            options.max_seconds,
            options.max_memory_gib,
        )
    except (FileNotFoundError, ValueError) as error:
        parser.error(str(error))
    models = [name for name in options.models.split(",") if name]
    if not set(models) <= set(known):
        parser.error(f"expected models among {', '.join(known)}, found {', '.join(models)}")
    return start(options.studies, folder, models, options.host, options.port, options.state, settings)


def _weights(options: argparse.Namespace) -> int:
    from .commands.shipped_weights import make_weights
    from .errors import NoDataError

    try:
        return make_weights(options.bundle, options.output, options.real_data)
    except NoDataError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1


def _pack(options: argparse.Namespace) -> int:
    from .commands.pack import pack
    from .errors import NoWeightsError

    try:
        paths = pack(options.bundles or bundle_names(), options.output, options.without_weights)
    except NoWeightsError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    for path in paths:
        print(f"{path}: {path.stat().st_size:,} bytes")  # noqa: T201
    return 0


def _named(options: argparse.Namespace) -> list[str]:
    return options.bundles if options.verb in ("demo", "pack") else [options.bundle]


if __name__ == "__main__":
    sys.exit(main())
