"""A reader that resumes: python examples/resuming_reader.py http://127.0.0.1:8000/chat?q=why.

It prints the data of each event, and on stderr what it does about a lost connection. Interrupt it,
and it tells the id to go on behind: --last-event-id.
"""

import argparse
import sys

from gaistream.client import ClientError, Reconnecting, ReconnectPolicy, connect_sse


def told(notice: Reconnecting) -> None:
    """Say what happened and what comes."""
    print(
        f"reconnecting in {notice.delay:.1f} s behind event {notice.last_event_id!r}: "
        f"{notice.reason}",
        file=sys.stderr,
    )


def main() -> int:
    """Read one answer to its end."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("url")
    arguments.add_argument("--last-event-id", default="")
    given = arguments.parse_args()
    policy = ReconnectPolicy(initial_delay=0.2, max_elapsed=120)
    source = connect_sse(
        given.url, reconnect=policy, on_reconnect=told, last_event_id=given.last_event_id
    )
    try:
        with source as events:
            for event in events:
                if event.event != "done":
                    print(event.data, flush=True)
    except ClientError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"interrupted behind event {source.last_event_id!r}", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
