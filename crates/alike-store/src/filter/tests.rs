use super::Filter;
use super::plain::Row;
use proptest::prelude::*;
use rusqlite::{Connection, params, params_from_iter};
use serde_json::{Value as Json, json};

fn database(rows: &[Row]) -> Connection {
    let db = Connection::open_in_memory().unwrap();
    crate::schema::create(&db).unwrap();
    for row in rows {
        db.execute(
            "INSERT INTO occasions(id, at, how, what) VALUES (?1, ?2, ?3, ?4)",
            params![row.id, row.added, row.how, row.with],
        )
        .unwrap();
        db.execute(
            "INSERT INTO items(id, place, size, modified, class, by_hand, \"group\", facts, occasion) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?1)",
            params![
                row.id,
                row.path,
                row.size,
                row.modified.map(|s| s * 1_000_000_000),
                row.class,
                row.by_hand,
                row.group,
                serde_json::to_string(&row.facts).unwrap()
            ],
        )
        .unwrap();
    }
    db
}

fn chosen(db: &Connection, text: &str) -> Vec<i64> {
    let filter: Filter = text.parse().unwrap_or_else(|e| panic!("{e}"));
    let bound = filter.bound(1);
    let sql = format!(
        "SELECT i.id FROM items i JOIN occasions o ON o.id = i.occasion WHERE {} ORDER BY i.id",
        bound.sql
    );
    let mut statement = db.prepare(&sql).unwrap();
    let rows = statement.query_map(params_from_iter(bound.parameters), |r| r.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let class = prop::option::of(prop::sample::select(vec!["cup", "Cup", "a%b", "it's", "x_y"]));
    let fact = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        (-3i64..4).prop_map(|n| json!(n)),
        (-6i64..7).prop_map(|n| json!(n as f64 / 2.0)),
        prop::sample::select(vec!["cup", "3", "2024-05-01", "2024-05-01T12:00:00", "2024-05-02 00:00:00"])
            .prop_map(|t| json!(t)),
    ];
    let row = (
        class.clone(),
        class,
        any::<bool>(),
        prop::option::of(-2i64..4),
        prop::option::of(1_714_500_000i64..1_714_700_000),
        1_714_500_000i64..1_714_700_000,
        prop::collection::vec((prop::sample::select(vec!["n", "lens type"]), fact), 0..3),
    );
    prop::collection::vec(row, 1..12).prop_map(|all| {
        let row = |(i, (class, group, by_hand, size, modified, added, facts))| {
            let (class, group): (Option<&str>, Option<&str>) = (class, group);
            let facts: Vec<(&str, Json)> = facts;
            Row {
                id: i as i64 + 1,
                path: format!("/p/{i}.png"),
                class: class.map(str::to_owned),
                group: group.map(str::to_owned),
                by_hand,
                size,
                modified,
                added,
                how: "add".into(),
                with: "/p".into(),
                facts: facts.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
            }
        };
        all.into_iter().enumerate().map(row).collect()
    })
}

fn test() -> impl Strategy<Value = String> {
    let operator = prop::sample::select(vec!["=", "!=", "<", "<=", ">", ">=", "<>"]);
    let of_text =
        prop::sample::select(vec!["class", "group", "path", "how", "facts.n", "facts.\"lens type\""]);
    let text = prop::sample::select(vec!["'cup'", "'it''s'", "'a%b'", "'3'", "'/p/1.png'"]);
    let of_number = prop::sample::select(vec!["size", "id", "facts.n"]);
    let number = prop::sample::select(vec!["-1", "0", "2", "1.5", "3"]);
    let of_date = prop::sample::select(vec!["added", "modified", "facts.n"]);
    let date =
        prop::sample::select(vec!["2024-05-01", "2024-05-02", "2024-05-01T12:00", "2024-05-01T12:00:00"]);
    let pattern =
        prop::sample::select(vec!["'%'", "'c_p'", "'%u%'", "'a\\%b'", "'CUP'", "'x\\_y'", "'%.png'", "''"]);
    prop_oneof![
        (of_text.clone(), operator.clone(), text.clone()).prop_map(|(f, o, v)| format!("{f} {o} {v}")),
        (of_number.clone(), operator.clone(), number.clone()).prop_map(|(f, o, v)| format!("{f} {o} {v}")),
        (of_date.clone(), operator, date.clone()).prop_map(|(f, o, v)| format!("{f} {o} {v}")),
        (of_text.clone(), prop::collection::vec(text, 1..3), any::<bool>()).prop_map(|(f, v, no)| format!(
            "{f} {}in ({})",
            if no { "not " } else { "" },
            v.join(", ")
        )),
        (of_number, prop::collection::vec(number, 1..3))
            .prop_map(|(f, v)| format!("{f} in ({})", v.join(","))),
        (of_date.clone(), prop::collection::vec(date, 1..3))
            .prop_map(|(f, v)| format!("{f} in ({})", v.join(","))),
        (of_text.clone(), pattern, any::<bool>())
            .prop_map(|(f, p, no)| format!("{f} {}like {p}", if no { "NOT " } else { "" })),
        (prop_oneof![of_text, of_date], any::<bool>())
            .prop_map(|(f, no)| format!("{f} is {}null", if no { "not " } else { "" })),
        prop::sample::select(vec!["by_hand = true", "facts.n != false", "by_hand != true"])
            .prop_map(str::to_owned),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    test().prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|all| all.join(" and ")),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|all| format!("({})", all.join(" or "))),
            inner.prop_map(|c| format!("not ({c})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn sqlite_and_a_plain_evaluator_choose_the_same(rows in rows(), text in condition()) {
        let filter: Filter = text.parse().unwrap();
        let expected: Vec<i64> = rows.iter().filter(|r| filter.holds(r) == Some(true)).map(|r| r.id).collect();
        prop_assert_eq!(chosen(&database(&rows), &text), expected, "{}", text);
    }

    #[test]
    fn no_text_breaks_out(text in "\\PC{0,40}") {
        // Whatever is read compiles, and what does not is an error with a place in the text.
        let db = database(&[Row { id: 1, ..Row::default() }]);
        match text.parse::<Filter>() {
            Ok(_) => drop(chosen(&db, &text)),
            Err(e) => prop_assert!(e.at <= text.len() && text.is_char_boundary(e.at)),
        }
        let quoted = format!("class = '{}'", text.replace('\'', "''"));
        prop_assert_eq!(chosen(&db, &quoted), Vec::<i64>::new());
        let count: i64 = db.query_row("SELECT count(*) FROM items", [], |r| r.get(0)).unwrap();
        prop_assert_eq!(count, 1);
    }
}

#[test]
fn a_condition_that_does_not_type_is_told_in_a_sentence() {
    for (text, why) in [
        ("", "it is empty"),
        ("clas = 'cup'", "did you mean 'class'"),
        ("class = cup", "a value is missing"),
        ("class = \"cup\"", "single quotes"),
        ("class = 3", "class is a text"),
        ("size = '3'", "size is a number"),
        ("added > 3", "added is a date"),
        ("added > 2024-02-30", "is no date"),
        ("size like '3%'", "'like' is for texts"),
        ("class = null", "'is null'"),
        ("class is 3", "'null' or 'not null'"),
        ("class = 'a", "not closed"),
        ("(class = 'a'", "bracket is not closed"),
        ("class = 'a' class = 'b'", "'and' or 'or' is missing"),
        ("class in 'a'", "a list in brackets"),
        ("by_hand > true", "neither is more"),
        ("facts = 3", "say which fact"),
        ("'a' = class", "a field stands on the left"),
        ("class = 'a'; DROP TABLE items", "means nothing here"),
        ("class not = 'a'", "after 'not'"),
        ("size = 1.2.3", "neither a number nor a date"),
    ] {
        let error = text.parse::<Filter>().unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
    let deep = format!("{}id = 1{}", "(".repeat(1000), ")".repeat(1000));
    assert!(deep.parse::<Filter>().unwrap_err().to_string().contains("within each other"));
    let long = vec!["id = 1"; 1000].join(" or ");
    assert!(long.parse::<Filter>().unwrap_err().to_string().contains("more than 500 tests"));
}

#[test]
fn what_is_unknown_is_not_chosen_by_a_condition_nor_by_its_opposite() {
    let row = |id, class: Option<&str>| Row { id, class: class.map(str::to_owned), ..Row::default() };
    let db = database(&[row(1, Some("cup")), Row { path: "b".into(), ..row(2, None) }]);
    assert_eq!(chosen(&db, "class = 'cup'"), [1]);
    assert_eq!(chosen(&db, "not class = 'cup'"), Vec::<i64>::new());
    assert_eq!(chosen(&db, "class != 'cup' or class is null"), [2]);
}
