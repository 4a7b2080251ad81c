//! Many thousands of pairs, put to the reference tools. A tool that is not
//! installed is skipped, and says so.

use std::io::Write;
use std::process::{Command, Stdio};

use packages::version::VersionScheme;

use crate::generate::{self, Random};
use crate::{fixtures, observed};

type Pair = (String, String);

/// Pairs put to a tool that answers many at once.
const PAIRS: usize = 40_000;
/// Pairs put to dpkg, which is started up to twice for each.
const PAIRS_DPKG: usize = 4_000;
const SEED: u64 = 20_261_122;

/// Generated pairs, and those of the scheme's fixture, so that the tool
/// confirms each line of it.
fn pairs(scheme: VersionScheme, seen: &[String], count: usize, fixture: &str) -> Vec<Pair> {
    let mut random = Random(SEED);
    let generated = (0..count).map(|_| generate::pair(scheme, seen, &mut random));
    generated.chain(fixtures::read(fixture).into_iter().map(|(a, _, b)| (a, b))).collect()
}

fn sign(scheme: VersionScheme, a: &str, b: &str) -> char {
    match scheme.compare(a, b) {
        Some(order) => ['<', '=', '>'][(order as i8 + 1) as usize],
        None => '?',
    }
}

/// Compares our answers with the tool's.
fn check(scheme: VersionScheme, tool: &str, pairs: &[Pair], answers: &[char]) {
    assert_eq!(pairs.len(), answers.len(), "{tool} answers every pair");
    let differing: Vec<_> = pairs
        .iter()
        .zip(answers)
        .filter(|((a, b), answer)| sign(scheme, a, b) != **answer)
        .map(|((a, b), answer)| format!("{a:?} {answer} {b:?}, we say {}", sign(scheme, a, b)))
        .collect();
    let count = |sign: char| answers.iter().filter(|a| **a == sign).count();
    let counts: Vec<_> = ['<', '=', '>', '?'].map(|s| format!("{s} {}", count(s))).into();
    println!("{tool}: {} pairs ({}), {} differ", pairs.len(), counts.join(", "), differing.len());
    assert!(
        differing.is_empty(),
        "{tool} disagrees:\n{}",
        differing[..differing.len().min(40)].join("\n")
    );
    // To Maven every text is a version.
    let signs: &[char] =
        if scheme == VersionScheme::Maven { &['<', '=', '>'] } else { &['<', '=', '>', '?'] };
    assert!(signs.iter().all(|s| count(*s) > 0), "{tool}: every answer occurs");
}

/// Runs a program that reads JSON pairs, one a line, and prints one answer a
/// line. `None`: it cannot run here.
fn ask(program: &str, arguments: &[&str], pairs: &[Pair]) -> Option<Vec<char>> {
    let mut input = tempfile::tempfile().expect("temporary file");
    for pair in pairs {
        writeln!(input, "{}", serde_json::to_string(pair).expect("strings are JSON"))
            .expect("write");
    }
    std::io::Seek::rewind(&mut input).expect("rewind");
    let output =
        Command::new(program).args(arguments).stdin(input).stderr(Stdio::inherit()).output();
    match output {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8(output.stdout).expect("answers are ASCII");
            Some(text.lines().filter_map(|line| line.chars().next()).collect())
        }
        Ok(output) => {
            println!("skipped: {program} ended with {}", output.status);
            None
        }
        Err(error) => {
            println!("skipped: {program} cannot be started: {error}");
            None
        }
    }
}

/// `dpkg --compare-versions`, by exit status: 2 means a version it refuses.
fn ask_dpkg(a: &str, b: &str) -> std::io::Result<char> {
    let holds = |relation: &str| {
        let mut command = Command::new("dpkg");
        // `--`: a version may begin like an option.
        command.args(["--compare-versions", "--", a, relation, b]);
        Ok::<_, std::io::Error>(command.stderr(Stdio::null()).status()?.code())
    };
    Ok(match holds("lt")? {
        Some(0) => '<',
        Some(1) if holds("eq")? == Some(0) => '=',
        Some(1) => '>',
        _ => '?',
    })
}

#[test]
fn debian_as_dpkg() {
    let seen = observed::osv("Debian");
    let pairs = pairs(VersionScheme::Debian, &seen, PAIRS_DPKG, fixtures::DEBIAN);
    let answers: std::io::Result<Vec<char>> = pairs.iter().map(|(a, b)| ask_dpkg(a, b)).collect();
    match answers {
        Ok(answers) => check(VersionScheme::Debian, "dpkg", &pairs, &answers),
        Err(error) => println!("skipped: dpkg cannot be started: {error}"),
    }
}

const PYTHON: &str = r#"
import json, sys
try:
    from packaging.version import Version
except ImportError:
    from pip._vendor.packaging.version import Version
def parse(text):
    try:
        return Version(text)
    except ValueError:
        return None
for line in sys.stdin:
    a, b = (parse(text) for text in json.loads(line))
    print("?" if a is None or b is None else "<" if a < b else ">" if a > b else "=")
"#;

#[test]
fn pypi_as_packaging() {
    let pairs = pairs(VersionScheme::Pypi, &observed::osv("PyPI"), PAIRS, fixtures::PYPI);
    if let Some(answers) = ask("python3", &["-c", PYTHON], &pairs) {
        check(VersionScheme::Pypi, "packaging", &pairs, &answers);
    }
}

const NODE: &str = r#"
const { execSync } = require('child_process');
let semver;
for (const at of ['semver', execSync('npm root -g', { stdio: ['ignore', 'pipe', 'ignore'] }).toString().trim() + '/npm/node_modules/semver']) {
  try { semver = require(at); break; } catch (e) {}
}
if (!semver) process.exit(3);
const lines = require('fs').readFileSync(0, 'utf8').split('\n').filter((line) => line);
console.log(lines.map((line) => {
  const [a, b] = JSON.parse(line);
  try { return '<=>'[semver.compare(a, b) + 1]; } catch (e) { return '?'; }
}).join('\n'));
"#;

#[test]
fn npm_as_node_semver() {
    let pairs = pairs(VersionScheme::Npm, &observed::osv("npm"), PAIRS, fixtures::NPM);
    if let Some(answers) = ask("node", &["-e", NODE], &pairs) {
        check(VersionScheme::Npm, "node semver", &pairs, &answers);
    }
}

/// Go carries `x/mod/semver` in its own sources; the wrapper is compiled with
/// that file beside it.
const GO: &str = r#"package main

import ("bufio"; "encoding/json"; "fmt"; "os"; "strings"; "probe/semver")

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var pair [2]string
		if json.Unmarshal(in.Bytes(), &pair) != nil { os.Exit(3) }
		for i := range pair { pair[i] = "v" + strings.TrimPrefix(pair[i], "v") }
		if !semver.IsValid(pair[0]) || !semver.IsValid(pair[1]) { fmt.Println("?"); continue }
		fmt.Println(string("<=>"[semver.Compare(pair[0], pair[1])+1]))
	}
}
"#;

#[test]
fn go_as_x_mod_semver() {
    let Ok(root) = Command::new("go").args(["env", "GOROOT"]).output() else {
        println!("skipped: go cannot be started");
        return;
    };
    let root = String::from_utf8_lossy(&root.stdout).trim().to_owned();
    let source = format!("{root}/src/cmd/vendor/golang.org/x/mod/semver/semver.go");
    let folder = tempfile::tempdir().expect("temporary folder");
    std::fs::create_dir(folder.path().join("semver")).expect("folder");
    if let Err(error) = std::fs::copy(&source, folder.path().join("semver/semver.go")) {
        println!("skipped: {source}: {error}");
        return;
    }
    std::fs::write(folder.path().join("main.go"), GO).expect("write");
    std::fs::write(folder.path().join("go.mod"), "module probe\n\ngo 1.21\n").expect("write");
    let folder = folder.path().to_str().expect("UTF-8");
    let pairs = pairs(VersionScheme::Go, &observed::osv("Go"), PAIRS, fixtures::GO);
    if let Some(answers) = ask("go", &["run", "-C", folder, "."], &pairs) {
        check(VersionScheme::Go, "go x/mod/semver", &pairs, &answers);
    }
}

#[test]
fn rpm_as_rpm() {
    let seen = observed::osv("AlmaLinux");
    let pairs = pairs(VersionScheme::Rpm, &seen, PAIRS, fixtures::RPM);
    let mut file = tempfile::NamedTempFile::new().expect("temporary file");
    for (a, b) in &pairs {
        writeln!(file, "{a}\t{b}").expect("write");
    }
    let lua = format!(
        "%{{lua: local f = io.open('{}'); for line in f:lines() do local a, b = line:match('^(.-)\\t(.*)$'); \
         local ok, order = pcall(rpm.vercmp, a, b); \
         print(not ok and '?' or order < 0 and '<' or order > 0 and '>' or '=') end}}",
        file.path().display()
    );
    match Command::new("rpm").args(["--eval", &lua]).output() {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            let answers: Vec<char> = text.chars().filter(|c| "<=>?".contains(*c)).collect();
            check(VersionScheme::Rpm, "rpm", &pairs, &answers);
        }
        Ok(output) => {
            println!("skipped: rpm has no lua: {}", String::from_utf8_lossy(&output.stderr))
        }
        Err(error) => println!("skipped: rpm cannot be started: {error}"),
    }
}

const JAVA: &str = r#"
import java.io.*;
import org.apache.maven.artifact.versioning.ComparableVersion;
public class Probe {
    public static void main(String[] arguments) throws Exception {
        var in = new BufferedReader(new InputStreamReader(System.in, "UTF-8"));
        for (String line; (line = in.readLine()) != null; ) {
            String[] pair = line.split("\t", -1);
            int order = new ComparableVersion(pair[0]).compareTo(new ComparableVersion(pair[1]));
            System.out.println(order < 0 ? "<" : order > 0 ? ">" : "=");
        }
    }
}
"#;

/// Where Debian's package keeps Maven's libraries.
const MAVEN_LIBRARIES: &str = "/usr/share/maven/lib";

#[test]
fn maven_as_comparable_version() {
    if !std::path::Path::new(MAVEN_LIBRARIES).is_dir() {
        println!("skipped: no Maven in {MAVEN_LIBRARIES}");
        return;
    }
    let pairs = pairs(VersionScheme::Maven, &observed::osv("Maven"), PAIRS, fixtures::MAVEN);
    let folder = tempfile::tempdir().expect("temporary folder");
    let source = folder.path().join("Probe.java");
    std::fs::write(&source, JAVA).expect("write");
    let lines: String = pairs.iter().map(|(a, b)| format!("{a}\t{b}\n")).collect();
    let input = folder.path().join("pairs");
    std::fs::write(&input, lines).expect("write");
    let mut java = Command::new("java");
    java.args(["-cp", &format!("{MAVEN_LIBRARIES}/*")]).arg(&source);
    match java.stdin(std::fs::File::open(&input).expect("open")).output() {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            let answers: Vec<char> = text.lines().filter_map(|line| line.chars().next()).collect();
            check(VersionScheme::Maven, "maven", &pairs, &answers);
        }
        Ok(output) => println!("skipped: java: {}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => println!("skipped: java cannot be started: {error}"),
    }
}
