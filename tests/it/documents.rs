//! README, SECURITY.md, docs/deploy.md and the files in deploy/ name commands, flags, variables and places that are there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Variables that the program heeds and its help does not list.
const OF_OTHERS: [&str; 2] = ["PGPASSWORD", "RUST_LOG"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages, and the files in deploy/, by path.
fn documents() -> Vec<(PathBuf, String)> {
    let pages = ["README.md", "SECURITY.md", "docs/deploy.md"].map(|name| root().join(name));
    let files = std::fs::read_dir(root().join("deploy")).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| (path.clone(), std::fs::read_to_string(path).unwrap());
    pages.into_iter().chain(files).map(read).collect()
}

/// What the program takes, as its help says.
#[derive(Default)]
struct Offered {
    /// The flags of each command, such as `token create`.
    flags: BTreeMap<String, BTreeSet<String>>,
    variables: BTreeSet<String>,
}

impl Offered {
    fn by_the_program() -> Self {
        let mut offered = Self::default();
        offered.learn(&[]);
        offered.variables.extend(OF_OTHERS.map(str::to_owned));
        offered
    }

    fn learn(&mut self, command: &[&str]) {
        let output = Command::new(env!("CARGO_BIN_EXE_strandline")).args(command).arg("--help").output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let words = |start: &str| help.split(start).skip(1).map(|rest| name_at(rest).to_owned()).collect::<Vec<_>>();
        self.variables.extend(words("[env: "));
        self.flags.insert(command.join(" "), words("--").into_iter().collect());
        let Some((_, list)) = help.split_once("Commands:\n") else { return };
        for line in list.lines().take_while(|line| !line.is_empty()) {
            let name = line.split_whitespace().next().unwrap();
            if line.starts_with("  ") && !line.starts_with("   ") && name != "help" {
                self.learn(&[command, &[name]].concat());
            }
        }
    }

    fn has_anywhere(&self, flag: &str) -> bool {
        // `--max-space-…` stands for those that begin so.
        let begins = |known: &String| flag.strip_suffix('-').is_some_and(|start| known.starts_with(start));
        self.flags.values().flatten().any(|known| known == flag || begins(known))
    }

    /// What is wrong with a command line, from behind the program's name.
    fn fault(&self, line: &str) -> Option<String> {
        let mut command = String::new();
        let mut words = line.split_whitespace().peekable();
        while let Some(word) = words.peek() {
            let deeper = format!("{command} {word}").trim().to_owned();
            if !self.flags.contains_key(&deeper) {
                break;
            }
            command = deeper;
            words.next();
        }
        if command.is_empty() && words.peek().is_some_and(|word| !word.starts_with("--")) {
            return Some(format!("there is no command `{line}`"));
        }
        let flags = self.flags.get(&command).unwrap();
        let unknown = words
            .filter_map(|word| word.trim_start_matches('[').strip_prefix("--"))
            .map(name_at)
            .find(|flag| !flags.contains(*flag));
        unknown.map(|flag| format!("`strandline {command}` has no --{flag}"))
    }
}

/// A flag's or variable's name at the beginning of a text.
fn name_at(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
    &text[..end.unwrap_or(text.len())]
}

/// Command lines of the program in a line of shell or of a unit: what stands behind its name, up to where another command
/// begins. Users and services have that name too, so that it is one for certain only at the beginning of a command.
fn commands<'l>(offered: &Offered, line: &'l str) -> Vec<&'l str> {
    let command = |(at, name): (usize, &str)| {
        let before = line[..at].trim_end_matches(|c| !matches!(c, ' ' | '(' | '"')).trim_end();
        let begins = before.is_empty() || ["$", "(", "strandline", "exec"].iter().any(|end| before.ends_with(end));
        let rest = &line[at + name.len()..];
        let first = rest.split_whitespace().next().unwrap_or_default();
        let end = rest.find(['`', ')', '|', ';', '#', '>', '&', '"']).unwrap_or(rest.len());
        let named = first != "strandline" && first.starts_with(|c: char| c.is_ascii_lowercase());
        let is_one = (begins && named) || offered.flags.contains_key(first);
        is_one.then(|| rest[..end].trim())
    };
    line.match_indices("strandline ").filter_map(command).collect()
}

/// Continued lines as one.
fn joined(text: &str) -> String {
    text.replace("\\\n", " ")
}

/// Code in a page: the spans within sentences, and the lines of its blocks.
fn code(page: &str) -> (Vec<String>, Vec<String>) {
    let (mut spans, mut lines) = (Vec::new(), Vec::new());
    for (place, part) in page.split("```").enumerate() {
        if place % 2 == 1 {
            lines.extend(joined(part).lines().map(str::to_owned));
        } else {
            let plain = part.replace('\n', " ");
            spans.extend(plain.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    (spans, lines)
}

#[test]
fn every_command_and_flag_that_the_documents_name_is_there() {
    let offered = Offered::by_the_program();
    assert!(offered.has_anywhere("listen") && offered.flags.len() > 30 && offered.variables.len() > 20);
    let mut faults = Vec::new();
    for (path, text) in documents() {
        let mut fault = |fault: String| faults.push(format!("{}: {fault}", path.display()));
        let markdown = path.extension().is_some_and(|extension| extension == "md");
        let (spans, lines) =
            if markdown { code(&text) } else { (Vec::new(), joined(&text).lines().map(str::to_owned).collect()) };
        for span in &spans {
            if let Some(flag) = span.strip_prefix("--").map(name_at)
                && !offered.has_anywhere(flag)
            {
                fault(format!("there is no --{flag}"));
            }
            if let Some(line) = span.strip_prefix("strandline ").filter(|line| !line.starts_with('=')) {
                offered.fault(line).into_iter().for_each(&mut fault);
            }
        }
        for line in &lines {
            let comment = line.trim_start().starts_with('#');
            if !comment {
                commands(&offered, line).into_iter().filter_map(|command| offered.fault(command)).for_each(&mut fault);
            }
            if comment && !markdown {
                let named = line.split("--").skip(1).map(name_at).filter(|flag| !flag.is_empty());
                named
                    .filter(|flag| !offered.has_anywhere(flag))
                    .for_each(|flag| fault(format!("there is no --{flag}")));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_variable_that_the_documents_name_is_there() {
    let offered = Offered::by_the_program();
    let mut faults = Vec::new();
    for (path, text) in documents() {
        let named = text.match_indices("STRANDLINE_").map(|(at, _)| name_at(&text[at..]));
        faults.extend(
            named.filter(|name| !offered.variables.contains(*name)).map(|name| format!("{}: {name}", path.display())),
        );
    }
    assert!(faults.is_empty(), "there is no such variable: {faults:#?}");
}

#[test]
fn what_the_image_and_the_unit_run_is_a_command_that_there_is() {
    let offered = Offered::by_the_program();
    let file = |name: &str| std::fs::read_to_string(root().join("deploy").join(name)).unwrap();
    let dockerfile = file("Dockerfile");
    let words = |instruction: &str| -> Vec<String> {
        let line = dockerfile.lines().find_map(|line| line.strip_prefix(instruction)).unwrap();
        serde_json::from_str(line).unwrap()
    };
    assert!(words("ENTRYPOINT ")[0].ends_with("/strandline"));
    assert_eq!(offered.fault(&words("CMD ").join(" ")), None);
    for unit in ["strandline.service", "strandline-backup.service"] {
        let text = file(unit);
        let started = text.lines().find(|line| line.starts_with("ExecStart=")).unwrap();
        let run = commands(&offered, started);
        assert_eq!(run.len(), 1, "{unit}: {started}");
        assert_eq!(offered.fault(run[0]), None, "{unit}");
    }
}

#[test]
fn every_place_that_the_pages_lead_to_is_there() {
    let mut faults = Vec::new();
    for (path, page) in documents().into_iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "md")) {
        let folder = path.parent().unwrap();
        let (spans, _) = code(&page);
        let places = spans.iter().filter(|span| ["src/", "tests/", "deploy/"].iter().any(|at| span.starts_with(at)));
        let mut missing: Vec<String> = places.filter(|place| !root().join(place).exists()).cloned().collect();
        for link in page.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { folder.join(file) };
            let title = |line: &str| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            let has = |text: String| text.lines().any(|line| line.starts_with('#') && title(line) == anchor);
            let there = target.exists() && (anchor.is_empty() || std::fs::read_to_string(&target).is_ok_and(has));
            if !there && !link.contains("://") {
                missing.push(link.to_owned());
            }
        }
        faults.extend(missing.into_iter().map(|place| format!("{}: {place}", path.display())));
    }
    assert!(faults.is_empty(), "these lead nowhere: {faults:#?}");
}
