"""`kernleap policy`: show the built-in policy, check a file of one's own."""

from __future__ import annotations

from pathlib import Path

import click


@click.group(name="policy")
def command() -> None:
    """The rules of the verdict: show the built-in ones, check your own.

    \b
    Examples:
      kernleap policy show > gate.toml
      kernleap policy check gate.toml
    """


@command.command(name="show")
def show() -> None:
    """Print the built-in policy, with what every key means: a file to start from.

    \b
    Example:
      kernleap policy show > gate.toml
    """
    from kernleap.judge.policy import default_text

    click.echo(default_text(), nl=False)


@command.command(name="check")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the whole policy as JSON.")
def check(path: Path, as_json: bool) -> None:
    """Check the policy in PATH and say what it asks.

    A mistake ends with exit code 2 and names the key, the line and what to write instead.

    \b
    Example:
      kernleap policy check gate.toml
    """
    from kernleap.judge.policy import load
    from kernleap.judge.policy_words import describe

    policy = load(path)
    if as_json:
        from kernleap.judge.policy_words import as_data

        click.echo(as_data(policy), nl=False)
        return
    click.echo(f"{path}: a valid policy")
    for line in describe(policy):
        click.echo(f"  {line}")
