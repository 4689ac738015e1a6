// RecoverCommand.swift: a cluster of one out of a member whose cluster has lost its quorum for good.
// Belongs here: what is said and asked before, and the steps. Never here: installing pages (Storage/Snapshot).
// Source: wishes.md 20. The new state is staged and installed as a snapshot from another member would be, so a
// crash in between leaves the old state or the new one; the file `identity` is written last.

internal import Storage

/// `martlet recover --data-dir DIR`.
enum RecoverCommand {
    static let command = Command(
        words: ["recover"],
        form: CommandForm(
            usage: "recover",
            summary: """
                For a cluster that has lost the disks of a majority: makes the data directory of a \
                member that
                is left the only member of a new cluster, with all of its data. Nothing of the old \
                cluster can
                connect to it any more. Stop the member first. It says what it will do, and asks.
                """,
            fileCount: 0,
            flags: [
                CommandFlag(
                    "yes", default: "false", "Does not ask."),
                CommandFlag(
                    "dry-run", default: "false",
                    "Only says what the directory holds: run it on each member that is left."),
            ] + CommandFlags.bumpFlags,
            shared: ["data-dir", "name", "initial-advertise-peer-urls"]),
        run: run)

    private static func run(_ flags: CommandFlags) throws(OfflineError) {
        let configuration = try flags.configuration()
        let bump = try flags.bump()
        let isDry = try flags.boolean("dry-run")
        let recovery = try Recovery(
            StoppedStore(configuration.dataDirectory),
            name: flags.isGiven("name") ? configuration.name : nil,
            peerURLs: flags.isGiven("initial-advertise-peer-urls")
                ? configuration.initialAdvertisePeerURLs.map(\.description) : nil)
        if recovery.isInterrupted, !isDry {
            Console.say("an earlier recovery was interrupted: finishing it")
            return Console.say(try recovery.finish())
        }
        try recovery.inspect()
        Console.say(recovery.report)
        guard !isDry else { return }
        Console.say(recovery.plan(bump))
        guard try flags.boolean("yes") || Console.confirms("Make this the only member?") else {
            throw .refused("nothing was changed")
        }
        try recovery.run(bump)
        Console.say(try recovery.finish())
    }
}
