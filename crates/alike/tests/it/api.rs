//! What the library offers stands in `crates/alike/api.txt`, a line for each item, so that a change of it is seen in review.
//!
//! The listing is made from the sources: by stable Rust, in the time of a test, with every feature. What macros make (the variants of
//! `Loss` and `Miner`) and implementations of traits are not in it. Names are taken to be unique within a room.

use std::collections::BTreeSet;
use std::path::Path;
use syn::{ImplItem, Item, TraitItem, UseTree, Visibility};

/// The sources: every item but tests, with the path of its module.
type Sources = Vec<(String, Item)>;

/// Reads a module and those below it.
fn read(path: &str, items: Vec<Item>, below: &Path, into: &mut Sources) {
    for item in items {
        if let Item::Mod(m) = &item {
            let folder = below.join(m.ident.to_string());
            let files = [folder.with_extension("rs"), folder.join("mod.rs")];
            let inner = match &m.content {
                _ if m.attrs.iter().any(is_for_tests) => continue,
                Some((_, items)) => items.clone(),
                None => parse(files.iter().find(|f| f.exists()).unwrap()),
            };
            read(&format!("{path}::{}", m.ident), inner, &folder, into);
        }
        into.push((path.to_owned(), item));
    }
}

/// Lists what a module offers: what it shows, and what it exports of the modules below it.
fn list(sources: &Sources, module: &str, lines: &mut BTreeSet<String>) {
    for (_, item) in sources.iter().filter(|(at, _)| at == module) {
        match item {
            Item::Use(u) if is_public(&u.vis) => {
                for path in leaves(&u.tree) {
                    let (last, from) = path.split_last().unwrap();
                    let name = last.rsplit(" as ").next().unwrap();
                    let from = format!("{module}::{}", from.join("::"));
                    let is_it = |(at, item): &&(String, Item)| {
                        at.starts_with(&from) && name_of(item) == Some((name.to_owned(), true))
                    };
                    let public = format!("{module}::{name}");
                    match sources.iter().find(is_it) {
                        Some((_, item)) => list_item(sources, module, name, item, lines),
                        None if sources.iter().any(|(at, _)| *at == from) => {
                            lines.insert(format!("{public}: renamed, or made by a macro"));
                            list_members(sources, module, name, lines);
                        }
                        None => _ = lines.insert(format!("{public}: pub use {}", path.join("::"))),
                    }
                }
            }
            Item::Mod(m) if is_public(&m.vis) => {
                lines.insert(format!("{module}::{}: pub mod", m.ident));
                list(sources, &format!("{module}::{}", m.ident), lines);
            }
            item => {
                if let Some((name, true)) = name_of(item) {
                    list_item(sources, module, &name, item, lines);
                }
            }
        }
    }
}

/// Lists an item and its members.
fn list_item(sources: &Sources, module: &str, name: &str, item: &Item, lines: &mut BTreeSet<String>) {
    let mut add = |member: &str, what: String| lines.insert(format!("{module}::{name}{member}: {what}"));
    add("", head(item));
    match item {
        Item::Struct(s) => {
            for f in s.fields.iter().filter(|f| is_public(&f.vis)) {
                let field = f.ident.as_ref().map_or("0".to_owned(), ToString::to_string);
                add(&format!("::{field}"), format!("pub {}", type_text(&f.ty)));
            }
        }
        Item::Enum(e) => {
            for v in &e.variants {
                let field = |f: &syn::Field| f.ident.as_ref().map_or(String::new(), |i| format!("{i}: "));
                let fields: Vec<String> = v.fields.iter().map(|f| field(f) + &type_text(&f.ty)).collect();
                add(&format!("::{}", v.ident), format!("variant({})", fields.join(", ")));
            }
        }
        Item::Trait(t) => {
            for f in t.items.iter().filter_map(|i| if let TraitItem::Fn(f) = i { Some(f) } else { None }) {
                let given = if f.default.is_some() { " (given)" } else { "" };
                add(&format!("::{}", f.sig.ident), signature(&f.sig) + given);
            }
        }
        _ => {}
    }
    list_members(sources, module, name, lines);
}

/// Lists the functions and constants of a type, wherever below the module they stand.
fn list_members(sources: &Sources, module: &str, name: &str, lines: &mut BTreeSet<String>) {
    for (_, item) in sources.iter().filter(|(at, _)| at.starts_with(module)) {
        let Item::Impl(i) = item else { continue };
        let syn::Type::Path(of) = &*i.self_ty else { continue };
        if i.trait_.is_some() || of.path.segments.last().is_none_or(|s| s.ident != name) {
            continue;
        }
        for member in &i.items {
            let (member, what) = match member {
                ImplItem::Fn(f) if is_public(&f.vis) => (&f.sig.ident, signature(&f.sig)),
                ImplItem::Const(c) if is_public(&c.vis) => (&c.ident, format!("const {}", type_text(&c.ty))),
                _ => continue,
            };
            lines.insert(format!("{module}::{name}::{member}: pub {what}"));
        }
    }
}

fn parse(file: &Path) -> Vec<Item> {
    let text = std::fs::read_to_string(file).unwrap();
    syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display())).items
}

fn is_public(vis: &Visibility) -> bool {
    matches!(vis, Visibility::Public(_))
}

fn is_for_tests(attribute: &syn::Attribute) -> bool {
    let list = attribute.meta.require_list();
    attribute.path().is_ident("cfg") && list.is_ok_and(|l| l.tokens.to_string().contains("test"))
}

/// The paths that a `use` brings.
fn leaves(tree: &UseTree) -> Vec<Vec<String>> {
    let below = |first: &syn::Ident, rest: Vec<Vec<String>>| {
        rest.into_iter().map(|path| [vec![first.to_string()], path].concat()).collect()
    };
    match tree {
        UseTree::Path(p) => below(&p.ident, leaves(&p.tree)),
        UseTree::Name(n) => vec![vec![n.ident.to_string()]],
        UseTree::Rename(r) => vec![vec![format!("{} as {}", r.ident, r.rename)]],
        UseTree::Group(g) => g.items.iter().flat_map(leaves).collect(),
        UseTree::Glob(_) => panic!("the listing does not follow stars"),
    }
}

/// The name of an item that can be exported, and whether its module shows it.
fn name_of(item: &Item) -> Option<(String, bool)> {
    let (ident, vis) = match item {
        Item::Struct(i) => (&i.ident, &i.vis),
        Item::Enum(i) => (&i.ident, &i.vis),
        Item::Trait(i) => (&i.ident, &i.vis),
        Item::Fn(i) => (&i.sig.ident, &i.vis),
        Item::Const(i) => (&i.ident, &i.vis),
        Item::Static(i) => (&i.ident, &i.vis),
        Item::Type(i) => (&i.ident, &i.vis),
        _ => return None,
    };
    Some((ident.to_string(), is_public(vis)))
}

/// An item on one line, without most attributes, members and bodies.
fn head(item: &Item) -> String {
    let text = unparse(item.clone());
    let open = if text.lines().any(|l| l == "#[non_exhaustive]") { "#[non_exhaustive] " } else { "" };
    let text = text.lines().skip_while(|l| !l.starts_with("pub ")).collect::<Vec<_>>().join(" ");
    let end = [" {", ";", " = "].iter().filter_map(|end| text.find(end)).min();
    open.to_owned() + &one_line(&text[..end.unwrap_or(text.len())])
}

fn signature(sig: &syn::Signature) -> String {
    one_line(unparse(syn::parse_quote!(#sig {})).trim_end().trim_end_matches(" {}"))
}

fn type_text(ty: &syn::Type) -> String {
    one_line(&unparse(syn::parse_quote!(type T = #ty;))["type T = ".len()..]).trim_end_matches(';').to_owned()
}

fn unparse(item: Item) -> String {
    prettyplease::unparse(&syn::File { items: vec![item], ..syn::parse_str("").unwrap() })
}

fn one_line(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.replace("( ", "(").replace(", )", ")").replace(",)", ")").replace(" )", ")")
}

#[test]
fn the_listing_of_what_the_library_offers_is_true() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (source, listing) = (root.join("src"), root.join("api.txt"));
    let (mut sources, mut lines) = (Vec::new(), BTreeSet::new());
    read("alike", parse(&source.join("lib.rs")), &source, &mut sources);
    list(&sources, "alike", &mut lines);
    let found: String = lines.iter().map(|line| format!("{line}\n")).collect();
    if std::env::var_os("ALIKE_BLESS").is_some() {
        std::fs::write(&listing, &found).unwrap();
    }
    let listed = std::fs::read_to_string(&listing).unwrap_or_default();
    let (found, listed): (BTreeSet<&str>, BTreeSet<&str>) =
        (found.lines().collect(), listed.lines().collect());
    let gone = listed.difference(&found).map(|line| format!("- {line}\n"));
    let changes: String = gone.chain(found.difference(&listed).map(|line| format!("+ {line}\n"))).collect();
    assert!(
        changes.is_empty(),
        "what the library offers is not what crates/alike/api.txt says. If that is meant, `ALIKE_BLESS=1 cargo test -p alike --test it \
         api` rewrites it:\n{changes}"
    );
}
