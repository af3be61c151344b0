"""One worker and two in turns, and what a queueing model says of more cores.

    python bench/workers.py [--rounds 4] [--seconds 4]

64 clients that never pause are a closed network of queues: each token needs the interpreter of its
worker and some processor time of any core. Its throughput is at most that of the station which is
busy first (Denning and Buzen 1978, https://doi.org/10.1145/356733.356735):

    X <= min(workers * X1, cores / D)

where X1 is what one worker writes while a core is idle, and D the processor time of a token. On the
machine of the measurement the load takes its part of D; on larger ones it is taken to come from
elsewhere. Two workers on this machine say how much of the bound is reached.
"""

import argparse
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

from serving import free_port, load, measured_load, prompts, running, serve_command, write_bundle

NUM_CLIENTS = 64


def measure(bundle: Path, num_workers: int, seconds: float) -> dict[str, Any]:
    """What 64 clients see of some workers."""
    port = free_port()
    with running(serve_command(bundle, port, workers=num_workers), port) as server:
        load(port, "--seconds", "3", "--clients", "16")  # until all workers are there
        options = ("--clients", str(NUM_CLIENTS), "--seconds", str(seconds))
        return measured_load(server, port, *options, bodies=prompts(min_len=40))


def bound(
    num_workers: int, num_cores: float, *, of_one: float, processor_seconds: float
) -> tuple[float, str]:
    """Tokens a second at most, and what limits them.

    Args:
        of_one: tokens a second of one worker that no core limits.
        processor_seconds: for a token, of all that runs on these cores.
    """
    interpreters, cores = num_workers * of_one, num_cores / processor_seconds
    return min((interpreters, "the interpreters"), (cores, "the cores"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=4, help="a measurement")
    asked = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    measured: dict[int, list[dict[str, Any]]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "classic"
        write_bundle(bundle)
        for _ in range(asked.rounds):
            for num_workers, rounds in measured.items():
                rounds.append(figures := measure(bundle, num_workers, asked.seconds))
                print(
                    f"{num_workers} worker(s): {figures['tokens_per_second']:7,.0f} tokens/s,"
                    f" {figures['processor_seconds_per_1000_tokens']:.4f} processor seconds per"
                    f" 1,000 tokens, and {figures['load_seconds_per_1000_tokens']:.4f} of the load,"
                    f" {figures['errors']} errors",
                    flush=True,
                )

    def median(num_workers: int, name: str) -> float:
        return float(statistics.median(figures[name] for figures in measured[num_workers]))

    one, two = (median(number, "tokens_per_second") for number in (1, 2))
    server = [median(number, "processor_seconds_per_1000_tokens") / 1000 for number in (1, 2)]
    of_load = median(2, "load_seconds_per_1000_tokens") / 1000
    cores = os.cpu_count() or 1
    most, limit = bound(2, cores, of_one=one, processor_seconds=server[1] + of_load)
    reached = two / most
    print(
        f"two workers: {two / one:.2f} times the tokens/s, {server[1] / server[0] - 1:+.0%} of"
        f" processor time a token; the model says at most {most:,.0f} tokens/s ({limit}), and"
        f" {reached:.0%} of that were measured"
    )
    for number in (4, 16):
        most, limit = bound(number, number, of_one=one, processor_seconds=server[1])
        print(
            f"{number} workers on {number} cores: at most {most:,.0f} tokens/s ({limit});"
            f" {reached * most:,.0f} if as much of it is reached"
        )


if __name__ == "__main__":
    main()
