// ConfigurationSupport.swift: short forms that the configuration tests share.
// Belongs here: loading with given words, variables and files. Never here: expectations.

@testable import Server

/// What a load that should succeed returned.
struct LoadedConfiguration {
    let configuration: Configuration
    let warnings: [String]
}

/// Loads a configuration; files are given as text by path.
func loadConfiguration(
    _ arguments: String..., environment: [String: String] = [:], files: [String: String] = [:]
) throws(ConfigurationError) -> LoadedConfiguration {
    let outcome = try Configuration.load(
        arguments: arguments, environment: environment,
        readFile: { path throws(ConfigurationError) in
            guard let text = files[path] else {
                throw .file(path: path, problem: "No such file or directory")
            }
            return text
        })
    guard case .run(let configuration, let warnings) = outcome else {
        preconditionFailure("the test expected a configuration, not \(outcome)")
    }
    return LoadedConfiguration(configuration: configuration, warnings: warnings)
}

/// The error of a load that should fail; nil when it does not.
func configurationError(
    _ arguments: String..., environment: [String: String] = [:], yaml: String? = nil
) -> ConfigurationError? {
    do throws(ConfigurationError) {
        _ = try Configuration.load(
            arguments: yaml == nil ? arguments : arguments + ["--config-file=c.yml"],
            environment: environment,
            readFile: { _ throws(ConfigurationError) in yaml ?? "" })
        return nil
    } catch {
        return error
    }
}
