"""Two workers and a gateway publish what runs: the table at AWS says what the semaphores say."""

import asyncio

from temporalio.service import RPCError

from policy import names
from tests.support import replay, until

TABLES = ("self-runners-tokens", "self-runners-concurrency")
REPOS = ("acme/api", "acme/web", "acme/core")


async def test_the_table_is_exact_whoever_is_killed(cluster, client, aws):
    """While jobs wait and run, after a worker's death in the middle, and when all is over.

    Tried dry before, setup lists what it will make and makes nothing; made twice, it changes
    nothing the second time.
    """
    database, site = aws.dynamodb(), cluster.site
    how = {
        "limits": {"max_runners": 6, "max_repo_share": 1.0, "default": 2},
        "concurrency": {"enabled": True, "every_seconds": 0.5},
    }
    await cluster.write(2, **how)
    code, said = await cluster.run("setup", "--dry-run")
    assert code == 0, said
    for table in TABLES:
        assert f"would be done: table {table} made" in said
    assert not set(TABLES) & set((await asyncio.to_thread(database.list_tables))["TableNames"])
    await cluster.start(workers=2, **how)
    code, said = await cluster.run("setup")
    assert (code, said.strip()) == (0, "nothing to change")

    async def written() -> dict[str, tuple[int, int, int]]:
        """What the table says of each repository: what runs, what waits, how many may run."""
        items = (await asyncio.to_thread(database.scan, TableName=TABLES[1]))["Items"]
        counts, none = ("runningCount", "waiting", "limit"), {"N": "-1"}
        return {
            item["repository"]["S"]: tuple(int(item.get(key, none)["N"]) for key in counts)
            for item in items
        }

    async def true(repo: str) -> tuple[int, int, int]:
        """What its semaphore says, if it can say something now."""
        handle = client.get_workflow_handle(names.semaphore_id(repo))
        try:
            state = await handle.query("state", args=[0])
        except RPCError:  # not started yet, or on its way from the dead worker to the other
            return -1, -1, 2
        return state["in_use"], state["waiting"], 2

    def becomes(**wanted: tuple[int, int]):
        """Until semaphores and table say this, and the same."""

        async def ask() -> bool:
            all_ = {repo: (*wanted[repo[5:]], 2) for repo in REPOS if repo[5:] in wanted}
            semaphores = {repo: await true(repo) for repo in all_}
            return semaphores == all_ == await written()

        return until(ask)

    # Two repositories whose jobs go on until they are told to end.
    held = [*await site.jobs(REPOS[0], count=3, seconds=600)]
    held += await site.jobs(REPOS[1], count=3, seconds=600)
    await becomes(api=(2, 1), web=(2, 1))

    short = await site.jobs(REPOS[2], count=8, seconds=0.3)
    assert await site.wait("jobs_completed", count=2)
    await cluster.kill_worker(0)
    await cluster.start_worker(2)  # it tells of the ends of the dead one's runners
    assert await site.wait("jobs_completed", count=len(short))
    await becomes(api=(2, 1), web=(2, 1), core=(0, 0))

    # Nothing that somebody else writes there stays.
    wrong = {"repository": {"S": REPOS[0]}, "runningCount": {"N": "9"}}
    await asyncio.to_thread(database.put_item, TableName=TABLES[1], Item=wrong)
    await becomes(api=(2, 1), web=(2, 1), core=(0, 0))

    for job in held:
        await site.call("POST", f"jobs/{job}/cancel")
    await becomes(api=(0, 0), web=(0, 0), core=(0, 0))
    assert await replay(client)
