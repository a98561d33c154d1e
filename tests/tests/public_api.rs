//! The public interface of runspace is the one written down in `docs/public-api.txt`. A change shows here, and is
//! made on purpose: `PUBLIC_API=overwrite` writes the list anew.
//!
//! It is read off the pages that rustdoc has made, for all features, so those come first:
//! `cargo doc -p runspace --no-deps --all-features && cargo test -p runspace-tests --test public_api -- --ignored`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use similar::TextDiff;

const SECTIONS: [&str; 2] = ["synthetic-implementations", "blanket-implementations"];

#[test]
#[ignore = "reads what `cargo doc` has made"]
fn the_interface_is_the_one_that_is_written_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("..");
    let mut lines = BTreeSet::new();
    read_folder(&target.join("doc/runspace"), "runspace", &mut lines);
    assert!(
        lines.len() > 300,
        "{} lines: has `cargo doc` run?",
        lines.len()
    );
    let found: String = lines.iter().map(|line| format!("{line}\n")).collect();

    let file = root.join("docs/public-api.txt");
    if std::env::var_os("PUBLIC_API").is_some_and(|it| it == "overwrite") {
        return fs::write(file, found).expect("the list can be written");
    }
    let known = fs::read_to_string(file).expect("the list");
    let changes = TextDiff::from_lines(&known, &found)
        .unified_diff()
        .context_radius(0)
        .to_string();
    assert!(
        changes.is_empty(),
        "the public interface has changed; if it was meant to: PUBLIC_API=overwrite\n{changes}"
    );
}

/// Adds what the pages in `folder` show, which is the module `path`.
fn read_folder(folder: &Path, path: &str, lines: &mut BTreeSet<String>) {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let entry = entry.expect("an entry");
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            // What the macros expand to is no interface.
            if name != "__private" {
                read_folder(&entry.path(), &format!("{path}::{name}"), lines);
            }
        } else if let [_, item, "html"] = name.split('.').collect::<Vec<_>>()[..] {
            let page = fs::read_to_string(entry.path()).expect("a page is text");
            read_page(&page, &format!("{path}::{item}"), lines);
        }
    }
}

fn read_page(page: &str, item: &str, lines: &mut BTreeSet<String>) {
    // The last of a page: what the compiler sees to, and what holds for every type.
    let end = SECTIONS
        .iter()
        .filter_map(|it| page.find(&format!("<h2 id=\"{it}\"")))
        .min();
    let page = &page[..end.unwrap_or(page.len())];
    let declarations = between(page, "<pre class=\"rust item-decl\">", "</pre>");
    let own = declarations.into_iter().map(text);
    let heads = between(page, " class=\"code-header\">", "</h")
        .into_iter()
        .map(text);
    let parts = heads.filter(|it| it.starts_with("pub ") || it.starts_with("impl"));
    let all: Vec<String> = own.chain(parts).collect();
    // Pages that only lead to others have none.
    if !all.is_empty() {
        lines.extend(all.into_iter().map(|it| format!("{item}: {it}")));
    }
}

fn between<'a>(page: &'a str, start: &str, end: &str) -> Vec<&'a str> {
    let parts = page.split(start).skip(1);
    parts.filter_map(|it| it.split(end).next()).collect()
}

/// The text of a piece of a page, on one line.
fn text(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, tag)) = rest.split_once('<') {
        text += before;
        rest = tag.split_once('>').map_or("", |it| it.1);
    }
    text += rest;
    for (code, sign) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&#39;", "'"),
        ("&quot;", "\""),
        ("&amp;", "&"),
    ] {
        text = text.replace(code, sign);
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
