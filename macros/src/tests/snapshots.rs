//! What calls become, word for word.
//!
//! Each file in `snapshots/` begins with a call, as a comment, and goes on with what the macro makes of
//! it. A new case is a new file with nothing but its comment. This writes what stands below the
//! comments anew, to be read before it is committed:
//!
//! ```text
//! SNAPSHOTS=overwrite cargo test -p runspace-macros snapshots
//! ```

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::quote;
use similar::TextDiff;

use super::{
    expand_entered, expand_foreach, expand_invocation, expand_main, expand_pipeline,
    expand_process_job, expand_thread_job,
};

const REFRESH: &str = "SNAPSHOTS=overwrite cargo test -p runspace-macros snapshots";

/// Every macro has a folder of its name, with at least one call in it.
const MACROS: [&str; 7] = [
    "foreach_parallel",
    "invoke",
    "job",
    "main",
    "pipeline",
    "start_job",
    "start_thread_job",
];

#[test]
#[cfg_attr(miri, ignore = "reads files")]
fn expansions_are_those_of_the_snapshots() {
    let overwrite = env::var_os("SNAPSHOTS").is_some_and(|it| it == "overwrite");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/snapshots");
    let mut changes = String::new();
    for name in MACROS {
        let files = entries(&root.join(name));
        assert!(!files.is_empty(), "no call of `{name}` in {root:?}");
        for file in files {
            let stored = fs::read_to_string(&file).expect("a snapshot is text");
            let call = call_of(&stored);
            let current = format!("{}\n{}", commented(&call), expanded(&file, name, &call));
            if stored == current {
                continue;
            }
            if overwrite {
                fs::write(&file, current).expect("a snapshot can be written");
                continue;
            }
            let at = file.strip_prefix(&root).expect("a file in there").display();
            let diff = TextDiff::from_lines(&stored, &current);
            let mut diff = diff.unified_diff();
            let diff = diff.header(&format!("{at}, stored"), &format!("{at}, now"));
            changes.push_str(&format!("\n{diff}"));
        }
    }
    assert!(
        changes.is_empty(),
        "the macros expand to something else than the snapshots say:\n{changes}\n\
         if that is what they should expand to, write it down with\n    {REFRESH}\n"
    );
}

#[test]
#[cfg_attr(miri, ignore = "reads files")]
fn no_snapshot_is_left_out() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/snapshots");
    let found: BTreeSet<_> = entries(&root)
        .into_iter()
        .map(|it| it.file_name().expect("an entry").to_owned())
        .collect();
    assert_eq!(found, MACROS.map(Into::into).into());
}

fn entries(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    entries.map(|it| it.expect("an entry").path()).collect()
}

/// The comment that the file begins with, without the slashes.
fn call_of(text: &str) -> String {
    let lines = text.lines().map_while(|it| it.strip_prefix("//"));
    let lines: Vec<_> = lines
        .map(|it| it.strip_prefix(' ').unwrap_or(it).trim_end())
        .collect();
    lines.join("\n")
}

fn commented(call: &str) -> String {
    let lines = call.lines().map(|line| format!("// {line}"));
    lines.map(|it| it.trim_end().to_owned() + "\n").collect()
}

fn expanded(file: &Path, name: &str, call: &str) -> String {
    let tokens: TokenStream = call
        .parse()
        .unwrap_or_else(|error| panic!("{file:?} does not begin with a call: {error}"));
    let mut trees = tokens.into_iter();
    let mut next = || {
        let next = trees.next();
        next.unwrap_or_else(|| panic!("{file:?} does not begin with a call"))
    };
    if let "job" | "main" = name {
        assert_eq!(next().to_string(), "#", "{file:?}");
        let arguments = arguments_of(file, name, next());
        let item = trees.collect();
        let items = match name {
            "job" => expand_entered(arguments, item),
            _ => expand_main(arguments, item),
        };
        return unparsed(file, items);
    }
    assert_eq!(next().to_string(), name, "{file:?} is in another's folder");
    assert_eq!(next().to_string(), "!", "{file:?}");
    let call = inside(file, next());
    let call = quote!(::runspace, #call);
    let value = match name {
        "foreach_parallel" => expand_foreach(call),
        "invoke" => expand_invocation(call),
        "pipeline" => expand_pipeline(call),
        "start_job" => expand_process_job(call),
        _ => expand_thread_job(call),
    };
    // A value is no item: it stands in a function, whose first and last line go again.
    let function = unparsed(file, quote!(fn expansion() { #value }));
    let lines = function.lines().skip(1).filter(|it| *it != "}");
    lines
        .map(|it| it.strip_prefix("    ").unwrap_or(it).to_owned() + "\n")
        .collect()
}

/// `[runspace::job(ARGUMENTS)]`
fn arguments_of(file: &Path, name: &str, attribute: TokenTree) -> TokenStream {
    let attribute: Vec<_> = inside(file, attribute).into_iter().collect();
    let (path, arguments) = match attribute.split_last() {
        Some((TokenTree::Group(group), path)) => (path, group.stream()),
        _ => (&attribute[..], TokenStream::new()),
    };
    let last = path.last().map(TokenTree::to_string);
    assert_eq!(last.as_deref(), Some(name), "{file:?} is another's");
    arguments
}

fn inside(file: &Path, tree: TokenTree) -> TokenStream {
    match tree {
        TokenTree::Group(group) if group.delimiter() != Delimiter::None => group.stream(),
        other => panic!("{file:?} has `{other}` where brackets should be"),
    }
}

fn unparsed(file: &Path, items: TokenStream) -> String {
    let text = items.to_string();
    let items = syn::parse2(items);
    let items = items.unwrap_or_else(|error| panic!("{file:?}: {error} in {text}"));
    prettyplease::unparse(&items)
}
