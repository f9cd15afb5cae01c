"""`drive-seg doctor`: what this machine can run."""

from drive_seg.cli.flags import out


def doctor() -> None:
    """Say what this machine can run, and for each thing it cannot, why and what to install."""
    from drive_seg.doctor import examine, print_report

    print_report(examine(), out)
