"""The engines that chaku knows. A new engine is a file beside this one, and a line here."""

from chaku.sql.engines.bigquery import BIGQUERY
from chaku.sql.engines.clickhouse import CLICKHOUSE
from chaku.sql.engines.duckdb import DUCKDB
from chaku.sql.engines.engine import Dialect, Engine
from chaku.sql.engines.mysql import MARIADB, MYSQL
from chaku.sql.engines.oracle import ORACLE
from chaku.sql.engines.postgres import POSTGRES
from chaku.sql.engines.redshift import REDSHIFT
from chaku.sql.engines.snowflake import SNOWFLAKE
from chaku.sql.engines.sqlite import SQLITE
from chaku.sql.engines.sqlserver import SQLSERVER
from chaku.sql.engines.trino import TRINO

FILES = (SQLITE, DUCKDB)
SERVERS = (POSTGRES, MYSQL, MARIADB, CLICKHOUSE, SQLSERVER, SNOWFLAKE, BIGQUERY, TRINO, REDSHIFT, ORACLE)
ENGINES: dict[Dialect, Engine] = {engine.dialect: engine for engine in (*FILES, *SERVERS)}
