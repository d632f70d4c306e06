"""The one error for an option that would do nothing, so that nobody believes that it did something."""

from pathlib import Path

from lesionlab.core.errors import OptionError


def ignored_option(option: str, *, value: object, because: str, where: str | Path, default: str = "") -> OptionError:
    """Return the error for an option that was given although it would change nothing.

    Args:
        option: As the command line has it, with its dashes; or a key of a file.
        value: What it was given; True of a switch.
        because: When it has an effect, as a condition: "only with --longitudinal".
        where: Command, or what the option was given for.
        default: Of a key that a file sets, which the command line cannot leave out but change back.
    """
    return OptionError(
        f"options that have an effect here; {option} has one {because}",
        found=f"{option} {value}".removesuffix(" True"),
        where=where,
        next_step=f"leave {option} out{f' or at {default}' if default else ''}, or use it {because}",
    )
