"""`python -m common VERB`: what a person types beside `python -m monai.bundle`."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .bundle import bundle_names, bundle_roots, installed_bundles_folder
from .errors import NoDataError, NoWeightsError, OutputFolderError, StudyError

Options = argparse.Namespace
_MANY = 10_000  # jobs given to a scheduler at once: all


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the verb in `arguments` and return the exit status."""
    parser = _parser()
    options, settings = parser.parse_known_args(arguments)
    options.settings = settings
    if options.settings and options.verb not in ("simulate", "study"):
        parser.error(f"unknown arguments: {' '.join(options.settings)}")
    unknown = set(options.bundles) - set(bundle_names()) if options.verb != "label" else set()
    if unknown:
        parser.error(f"expected bundles among {', '.join(bundle_names())}, found {', '.join(sorted(unknown))}")
    options.bundles = options.bundles or bundle_names()
    try:
        return options.run(options)
    except (NoDataError, NoWeightsError, OutputFolderError, StudyError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    except _UsageError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        goes_on = "; the same command goes on" if options.verb in ("demo", "weights", "study") else ""
        print(f"stopped{goes_on}", file=sys.stderr)  # noqa: T201
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m common", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for add in (_simulate, _demo, _weights, _study, _pack, _label):
        add(verbs)
    return parser


def _positive(text: str) -> int:
    """Return a count of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1, found {text}")
    return int(text)


class _SimulateHelp(argparse.Action):
    """Help of `simulate B`, with the settings that the phantom of B takes."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Options, *_: object) -> None:
        known = [name for name in namespace.bundles or [] if name in bundle_names()]
        parser.epilog = "python -m common simulate BUNDLE --help lists the settings of its phantom."
        if known:
            from .commands.simulate import settings_in_words

            parser.epilog = settings_in_words(known[0])
        parser.print_help()
        parser.exit()


class _UsageError(Exception):
    """Options that do not fit each other."""


def _verb(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]",
    run: Callable[[Options], int],
    name: str,
    purpose: str,
    description: str,
    bundles: int | str = "*",
    **further: Any,
) -> argparse.ArgumentParser:
    """Add a verb for `bundles` bundles (1, or any number) that calls `run`; `further` goes to its parser."""
    parser = verbs.add_parser(name, help=purpose, description=description, **further)
    parser.set_defaults(run=run, bundles=[])
    if bundles:
        parser.add_argument("bundles", nargs=bundles, help="bundle" if bundles == 1 else "bundles (default: all)")
    return parser


def _simulate(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    def run(options: Options) -> int:
        from .commands.simulate import simulate

        return simulate(options.bundles[0], options.directory, options.settings)

    parser = _verb(
        verbs,
        run,
        "simulate",
        "write simulated cases in the layout of a public data set",
        "Write simulated cases. Further settings of the phantom as --name value, e.g. --cases 40 --seed 1.",
        1,
        add_help=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-h", "--help", nargs=0, action=_SimulateHelp, help="show this and the settings of BUNDLE")
    parser.add_argument("directory", type=Path, help="folder to write to")


def _demo(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    def run(options: Options) -> int:
        from .commands.study import demo

        return demo(options.bundles, options.output)

    parser = _verb(
        verbs,
        run,
        "demo",
        "simulate, train, evaluate, infer and report, in minutes",
        "Run every stage of the bundles on simulated data and write one report.html each.",
    )
    parser.add_argument("--output", type=Path, default=Path("demo_output"), help="folder to write to")


def _weights(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    def run(options: Options) -> int:
        from .commands.shipped_weights import make_weights

        return make_weights(options.bundles[0], options.output, options.real_data)

    parser = _verb(
        verbs,
        run,
        "weights",
        "make the weights that a bundle ships again",
        "Run the study weights.json of a bundle; the weights go to OUTPUT/BUNDLE/weights/models.",
        1,
    )
    parser.add_argument("--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--real_data", type=Path, help="folder of the real images that a plan asks for")


def _study(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    def run(options: Options) -> int:
        from .commands.executors import Cluster
        from .commands.simulate import pairs, typed
        from .commands.study import study
        from .commands.study_plan import Limits

        inputs = dict(text.partition("=")[::2] for text in options.input)
        limits = Limits(options.arms, options.folds, options.seeds, options.max_epochs, pairs(options.settings), inputs)
        cluster, workers = None, options.workers or 1
        if options.cluster:
            named = (text.partition("=")[::2] for text in options.cluster_option)
            asked = {name: typed(value) for name, value in named}
            if options.partition:
                asked["slurm_partition"] = options.partition
            cluster, workers = (
                Cluster(options.cluster, asked),
                options.workers or (_MANY if options.cluster == "slurm" else 1),
            )
        elif options.partition or options.cluster_option:
            raise _UsageError("--partition and --cluster_option need --cluster")
        return study(
            options.bundles[0], options.name, options.output, options.dataset_dir, limits, workers, cluster
        ).status

    parser = _verb(
        verbs,
        run,
        "study",
        "make a table of the paper on your data, or a claim on simulated data",
        "Run studies/NAME.json of a bundle; the table goes to OUTPUT/BUNDLE/NAME. The same command goes on where it "
        "was stopped. Further settings of the stages as --name value, e.g. --batch_size 2.",
        1,
    )
    parser.add_argument("name", help="such as table1; any other word lists them")
    parser.add_argument("--dataset_dir", type=Path, help="folder of the cases")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--arms", nargs="+", default=[], help="rows of the table to run (default: all)")
    parser.add_argument("--folds", nargs="+", type=int, default=[], help="folds to run, from 0 (default: all)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[], help="seeds to run (default: the study's)")
    parser.add_argument("--max_epochs", type=_positive, help="upper limit of the epochs of every training")
    parser.add_argument("--workers", type=_positive, help="jobs side by side (default: 1; on slurm all that can run)")
    parser.add_argument(
        "--input", action="append", default=[], metavar="NAME=PATH", help="a file that the study asks for"
    )
    parser.add_argument("--cluster", choices=("slurm", "local"), help="run each job on a cluster, through submitit")
    parser.add_argument("--partition", help="of Slurm")
    parser.add_argument(
        "--cluster_option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of submitit, such as gpus_per_node=1 or timeout_min=600; may be repeated",
    )


def _pack(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    def run(options: Options) -> int:
        from .commands.pack import pack

        for path in pack(options.bundles, options.output, options.without_weights):
            print(f"{path}: {path.stat().st_size:,} bytes")  # noqa: T201
        return 0

    description = "Write B.zip, the same as B_vVERSION.zip, and SHA256SUMS."
    parser = _verb(verbs, run, "pack", "write bundles as zips that work anywhere", description)
    parser.add_argument("--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--without-weights", action="store_true", help="pack a bundle that has no weights, too")


def _label(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    def run(options: Options) -> int:
        from .label.archive import checked_archive, is_archive
        from .label.settings import ServerSettings, checked_origin
        from .label.start import start

        folder = options.folder or installed_bundles_folder()
        limits = (options.max_upload_mib, options.max_seconds, options.max_memory_gib)
        try:
            known = bundle_roots(folder)
            origins = tuple(checked_origin(origin) for origin in options.allow_origin)
            archive = is_archive(options.studies)
            studies = checked_archive(options.studies) if archive else Path(options.studies)
            if options.viewer and not archive:
                raise ValueError("--viewer: OHIF shows the series of an archive; --studies must be its address")
            settings = ServerSettings(options.writable, origins, *limits, str(studies) if options.viewer else "")
        except (FileNotFoundError, ValueError) as error:
            raise _UsageError(error) from error
        models = [name for name in options.models.split(",") if name]
        if not set(models) <= set(known):
            raise _UsageError(f"expected models among {', '.join(known)}, found {', '.join(models)}")
        return start(studies, folder, models, options.host, options.port, options.state, settings)

    description = "Start a MONAI Label server, offline; common/label/SECURITY.md says what it protects and how."
    parser = _verb(verbs, run, "label", "serve bundles to 3D Slicer or OHIF by MONAI Label", description, 0)
    parser.add_argument(
        "--studies", required=True, help="folder with images, or an archive's http://HOST:PORT/dicom-web"
    )
    parser.add_argument("--models", default="", help="bundles to serve, joined by commas (default: all)")
    parser.add_argument(
        "--bundles", dest="folder", type=Path, help="folder with unpacked zips (default: the bundles of this checkout)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine alone)")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--state", type=Path, help="folder for weights and logs (default: STUDIES_label_server)")
    parser.add_argument("--writable", action="store_true", help="let clients add studies and save labels")
    parser.add_argument("--viewer", action="store_true", help="also show the archive in OHIF, in the browser")
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="URL",
        help="web page that may ask, or name of this server behind a proxy, as https://NAME[:PORT]; may be repeated",
    )
    parser.add_argument("--max-upload-mib", type=int, default=2048, help="largest request (default: 2048)")
    parser.add_argument("--max-seconds", type=float, default=600, help="longest time for one answer (default: 600)")
    parser.add_argument("--max-memory-gib", type=float, default=16, help="memory for the answers (default: 16)")


if __name__ == "__main__":
    sys.exit(main())
