// Binding and stepping of SQLite statements, shared by the sources of SqliteTransaction.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "server/store/sqlite_transaction.h"

namespace haq::server::store {

// std::string binds as TEXT; wrap what may hold any bytes.
struct BlobValue {
  const std::string& bytes;
};

inline void BindValue(SQLite::Statement& statement, int index, const std::string& value) {
  statement.bind(index, value);
}
inline void BindValue(SQLite::Statement& statement, int index, const BlobValue& value) {
  statement.bind(index, value.bytes.data(), static_cast<int>(value.bytes.size()));
}
inline void BindValue(SQLite::Statement& statement, int index, int64_t value) {
  statement.bind(index, value);
}

template <typename... Values>
void BindAll(SQLite::Statement& statement, const Values&... values) {
  int index = 0;
  (BindValue(statement, ++index, values), ...);
}

// Once the transaction failed nothing more is asked of the database: later statements would see a
// state that is about to be rolled back.
template <typename Function>
void SqliteTransaction::Guard(Function function) {
  if (!status_.ok()) return;
  try {
    function();
  } catch (const SQLite::Exception& exception) {
    status_ = StatusOf(exception, database_.getFilename());
  } catch (const nlohmann::json::exception& exception) {
    status_ =
        DataLoss("{}: a row holds damaged JSON: {}", database_.getFilename(), exception.what());
  }
}

template <typename... Values>
void SqliteTransaction::Execute(const char* sql, const Values&... values) {
  Guard([&] {
    SQLite::Statement statement(database_, sql);
    BindAll(statement, values...);
    statement.exec();
  });
}

// A vector of row(statement) for every row.
template <typename Row, typename... Values>
auto SqliteTransaction::Query(const char* sql, Row row, const Values&... values) {
  std::vector<decltype(row(std::declval<SQLite::Statement&>()))> rows;
  Guard([&] {
    SQLite::Statement statement(database_, sql);
    BindAll(statement, values...);
    while (statement.executeStep()) rows.push_back(row(statement));
  });
  if (!status_.ok()) rows.clear();
  return rows;
}

template <typename... Values>
int64_t SqliteTransaction::QueryNumber(const char* sql, const Values&... values) {
  const auto rows = Query(
      sql, [](SQLite::Statement& s) { return s.getColumn(0).getInt64(); }, values...);
  return rows.empty() ? 0 : rows.front();
}

template <typename Record>
std::optional<Record> First(std::vector<Record> rows) {
  if (rows.empty()) return std::nullopt;
  return std::move(rows.front());
}

}  // namespace haq::server::store
