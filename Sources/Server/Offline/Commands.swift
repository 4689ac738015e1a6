// Commands.swift: the commands that work on files, by name.
// Belongs here: finding and running one, exit statuses. Never here: what each does.

internal import Glibc

/// A command of the program besides serving.
struct Command: Sendable {
    /// Its words, "snapshot restore".
    let words: [String]
    let form: CommandForm
    let run: @Sendable (CommandFlags) throws(OfflineError) -> Void

    static let all = [
        SnapshotStatusCommand.command, RestoreCommand.command, ImportCommand.command,
        ExportCommand.command, RecoverCommand.command,
    ]

    /// The lines of `--help` that name the commands.
    static let summary =
        "commands that work on files; each has a --help of its own:\n"
        + all.map { "  martlet \($0.form.usage)" }.joined(separator: "\n")

    /// The command that the arguments begin with; nil if they are the server's flags.
    ///
    /// - Throws: `usage` for a first word that is neither a flag nor a command.
    static func named(
        by arguments: [String]
    ) throws(OfflineError) -> (command: Command, rest: [String])? {
        guard let first = arguments.first, !first.hasPrefix("-") else { return nil }
        for command in all where arguments.starts(with: command.words) {
            return (command, Array(arguments.dropFirst(command.words.count)))
        }
        guard all.contains(where: { $0.words[0] == first }) else { return nil }
        throw .usage(summary)
    }

    /// Runs it; returns the process's exit status.
    func status(_ arguments: [String]) -> Int32 {
        do throws(OfflineError) {
            let flags = try CommandFlags(arguments, form: form)
            if flags.wantsHelp {
                Console.say(form.help)
                return 0
            }
            try run(flags)
            return 0
        } catch {
            Console.warn("martlet: \(error)")
            return error.exitStatus
        }
    }
}
