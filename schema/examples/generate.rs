//! Writes the documents that are generated from the types; see `hero_schema::describe`.

fn main() -> std::io::Result<()> {
    for document in hero_schema::describe::documents() {
        std::fs::write(&document.path, document.text)?;
    }
    Ok(())
}
