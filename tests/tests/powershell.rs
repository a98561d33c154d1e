//! The pages on PowerShell have every parameter that PowerShell 7 documents, and every public member of the
//! classes of runspaces.

use std::fs;
use std::path::Path;

/// The commands, the file of each, and its parameters, as the reference of PowerShell 7.5 to 7.7 lists them;
/// of `Suspend-Job` and `Resume-Job`, that of 5.1.
const COMMANDS: [(&str, &str, &str); 10] = [
    (
        "ForEach-Object",
        "foreach-object.md",
        "ArgumentList AsJob Begin End InputObject MemberName Parallel Process RemainingScripts \
         ThrottleLimit TimeoutSeconds UseNewRunspace Confirm WhatIf",
    ),
    (
        "Start-ThreadJob",
        "start-threadjob.md",
        "ArgumentList FilePath InitializationScript InputObject Name ScriptBlock StreamingHost ThrottleLimit",
    ),
    (
        "Start-Job",
        "start-job.md",
        "ArgumentList Authentication Credential DefinitionName DefinitionPath FilePath InitializationScript \
         InputObject LiteralPath Name PSVersion RunAs32 ScriptBlock Type WorkingDirectory",
    ),
    (
        "Get-Job",
        "get-job.md",
        "After Before ChildJobState Command Filter HasMoreData Id IncludeChildJob InstanceId Name Newest State",
    ),
    (
        "Receive-Job",
        "receive-job.md",
        "AutoRemoveJob ComputerName Force Id InstanceId Job Keep Location Name NoRecurse Session Wait \
         WriteEvents WriteJobInResults",
    ),
    (
        "Wait-Job",
        "wait-job.md",
        "Any Filter Force Id InstanceId Job Name State Timeout",
    ),
    (
        "Stop-Job",
        "stop-job.md",
        "Filter Id InstanceId Job Name PassThru State Confirm WhatIf",
    ),
    (
        "Suspend-Job",
        "suspend-job.md",
        "Filter Force Id InstanceId Job Name State Wait Confirm WhatIf",
    ),
    (
        "Remove-Job",
        "remove-job.md",
        "Command Filter Force Id InstanceId Job Name State Confirm WhatIf",
    ),
    (
        "Debug-Job",
        "debug-job.md",
        "BreakAll Id InstanceId Job Name Confirm WhatIf",
    ),
];

#[test]
fn every_parameter_is_on_the_page_of_its_command() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let index = fs::read_to_string(docs.join("powershell.md")).expect("the list of pages");
    for (command, file, parameters) in COMMANDS {
        let page = fs::read_to_string(docs.join("powershell").join(file)).expect(file);
        assert!(
            index.contains(command) && index.contains(file),
            "{command} is not in the list"
        );
        // The first cell of each row of a table.
        let cells: Vec<_> = page
            .lines()
            .filter_map(|it| it.strip_prefix("| ")?.split(" | ").next())
            .collect();
        for parameter in parameters.split(' ') {
            let name = format!("`-{parameter}`");
            assert!(
                cells.iter().any(|it| it.contains(&name)),
                "{file} has no {name}"
            );
        }
    }
}

/// The classes, the file of each, and its public members, as the source of PowerShell 7.6 has them.
const CLASSES: [(&str, &str, &str); 5] = [
    (
        "RunspaceFactory",
        "runspace.md",
        "CreateOutOfProcessRunspace CreateRunspace CreateRunspacePool",
    ),
    (
        "Runspace",
        "runspace.md",
        "ApartmentState AvailabilityChanged CanUseDefaultRunspace ClearBaseTransaction Close CloseAsync \
         Connect ConnectAsync ConnectionInfo CreateDisconnectedPipeline CreateDisconnectedPowerShell \
         CreateNestedPipeline CreatePipeline Debugger DefaultRunspace Disconnect DisconnectAsync \
         DisconnectedOn Dispose Events ExpiresOn GetApplicationPrivateData GetCapabilities GetRunspace \
         GetRunspaces Id InitialSessionState InstanceId IsRemoteDebuggerAttached JobManager Name Open \
         OpenAsync OriginalConnectionInfo ResetRunspaceState RunspaceAvailability RunspaceIsRemote \
         RunspaceStateInfo SessionStateProxy SetBaseTransaction StateChanged ThreadOptions Version",
    ),
    (
        "SessionStateProxy",
        "runspace.md",
        "Applications Drive GetVariable InvokeCommand InvokeProvider LanguageMode Module PSVariable Path \
         Provider Scripts SetVariable",
    ),
    (
        "PowerShell",
        "runspace.md",
        "AddArgument AddCommand AddParameter AddParameters AddScript AddStatement BeginInvoke BeginStop \
         Commands Connect ConnectAsync Create CreateNestedPowerShell Dispose EndInvoke EndStop \
         GetSteppablePipeline HadErrors HistoryString InstanceId InvocationStateChanged \
         InvocationStateInfo Invoke InvokeAsync IsNested IsRunspaceOwner Runspace RunspacePool Stop \
         StopAsync Streams",
    ),
    (
        "RunspacePool",
        "runspacepool.md",
        "ApartmentState BeginClose BeginConnect BeginDisconnect BeginOpen CleanupInterval Close Connect \
         ConnectionInfo CreateDisconnectedPowerShells Disconnect Dispose EndClose EndConnect EndDisconnect \
         EndOpen GetApplicationPrivateData GetAvailableRunspaces GetCapabilities GetMaxRunspaces \
         GetMinRunspaces GetRunspacePools InitialSessionState InstanceId IsDisposed Open \
         RunspacePoolAvailability RunspacePoolStateInfo SetMaxRunspaces SetMinRunspaces StateChanged \
         ThreadOptions",
    ),
];

#[test]
fn every_member_is_in_the_table_of_its_class() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/powershell");
    for (class, file, members) in CLASSES {
        let page = fs::read_to_string(docs.join(file)).expect(file);
        let head = format!("| .NET, `{class}` | here |");
        let (_, table) = page.split_once(&head).expect(&head);
        let rows = table.lines().skip(1).take_while(|it| !it.is_empty());
        // What stands in backticks in the first cell of each row: `Name` or `Name(..)`.
        let named: Vec<&str> = rows
            .filter_map(|it| it.strip_prefix("| ")?.split(" | ").next())
            .flat_map(|cell| cell.split('`').skip(1).step_by(2))
            .map(|code| code.split('(').next().unwrap_or(code))
            .collect();
        for member in members.split(' ') {
            assert!(
                named.contains(&member),
                "{file} has no `{member}` in the table of `{class}`"
            );
        }
    }
}
