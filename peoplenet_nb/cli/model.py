"""The commands about the model, the settings, the notebooks and the machine."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from peoplenet_nb.cli import options
from peoplenet_nb.cli.shell import EXIT_ERROR, one_of, path_option, read_settings, say
from peoplenet_nb.errors import SettingsError
from peoplenet_nb.files import refuse_existing, writing
from peoplenet_nb.settings import Settings


def describe(model: options.Model = None, device: options.DeviceName = "auto") -> None:
    """Show what is inside a model.

    Tensors, layers, parameters, and which class heads can find anything.
    """
    from peoplenet_nb.network import PeopleNet

    table = PeopleNet.load(model, device=device).describe()
    for what, value in table.itertuples(index=False):
        say(f"{what:>16}  {value}")


def download(
    version: Annotated[
        str | None, typer.Argument(metavar="VERSION", help="A version of nvidia/tao/peoplenet on NGC.")
    ] = None,
    dest: Annotated[
        Path | None,
        path_option("--dest", metavar="FOLDER", about="The folder that gets the version's own folder."),
    ] = None,
    via: Annotated[str, one_of("--via", "http|cli", "By HTTP, or with the NGC CLI.")] = "http",
    org: Annotated[
        str | None, typer.Option(metavar="ORG", help="The key's org; a legacy key needs it.")
    ] = None,
    team: Annotated[str | None, typer.Option(metavar="TEAM", help="The key's team.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Download it even if a good copy is there.")] = False,
    progress: options.Progress = True,
) -> None:
    """Download PeopleNet from NGC and verify it.

    As a guest, or with the key in NGC_API_KEY.
    """
    from peoplenet_nb import ngc

    record = ngc.download(
        version or ngc.DEFAULT_VERSION, dest, via=via, org=org, team=team, force=force, progress=progress
    )
    say(f"{record.path}\n{record.size:,} bytes, sha256 {record.sha256}, verified by {record.verified}")


def notebooks(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the copies go.")],
) -> None:
    """Write copies of the notebooks to work in.

    Copies that were made earlier are brought up to date; one that was edited is kept under another name.
    """
    from peoplenet_nb.notebook.copying import copy_notebooks, notebooks_dir

    with writing(folder):
        for line in copy_notebooks(notebooks_dir(), folder):
            say(line)
    say(f"The notebooks are in {folder}. Open them with:")
    lab = Path(sys.executable).with_name("jupyter")
    if not lab.exists():
        say("  pip install 'peoplenet-nb[notebooks,serve,track]'  (JupyterLab is not here yet)")
    if not Path(sys.prefix, "share/jupyter/kernels/peoplenet").is_dir():
        python = shlex.quote(sys.executable)
        say(f"  {python} -m ipykernel install --sys-prefix --name peoplenet --display-name PeopleNet")
    # Another Python's JupyterLab would not know the kernel.
    known = not lab.exists() or shutil.which("jupyter") == str(lab)
    say(f"  {'jupyter' if known else shlex.quote(str(lab))} lab {shlex.quote(str(folder))}")


def doctor() -> None:
    """Check the environment, line by line.

    The exit code is 1 when something that is needed is broken.
    """
    from peoplenet_nb.diagnostics import doctor as examine

    result = examine()
    for line in result.lines():
        say(line)
    if not result.ok:
        raise typer.Exit(EXIT_ERROR)


def settings(
    preset_name: options.PresetName = None,
    fit: options.FitName = None,
    threshold: options.Thresholds = None,
    source: Annotated[
        Path | None,
        path_option(
            "--from", metavar="FILE", about="Read them from the file of DeepStream, TAO, Triton or Jetson."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        path_option("--output", "-o", metavar="FILE", about="Write this file instead of printing."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it is there.")] = False,
) -> None:
    """Print a preset as a settings file to start from.

    With --from: what the file of another program says, and what of it cannot be held.
    """
    import yaml

    if source and (preset_name or fit or threshold):
        raise SettingsError(
            "--from takes everything from the file",
            seen="--preset, --fit or --threshold beside it",
            next_step="leave them out, and edit what --output wrote.",
        )
    chosen = _imported(source) if source else read_settings(None, preset_name, fit, threshold)
    if output is None:
        say(yaml.safe_dump(chosen.to_dict(), sort_keys=False).rstrip())
        return
    if not overwrite:
        refuse_existing(output, "The settings file")
    say(f"written: {chosen.to_yaml(output)}")


def _imported(path: Path) -> Settings:
    """Return the settings of another program's file; what they cannot hold goes to standard error."""
    from peoplenet_nb.export import import_settings

    read = import_settings(path)
    for text in read.notes:
        say(f"note: {text}", err=True)
    return read.settings
