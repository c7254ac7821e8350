lambda do
  tests, mark = %w[tests.rb mark].map { |name| File.read(name).tap { File.delete(name) } }
  if tests.include?("test/unit")
    require "test/unit"
    Test::Unit::AutoRunner.need_auto_run = false
  end
  load "./program.rb"
  eval(tests, TOPLEVEL_BINDING, "tests.rb")
  exit!(1) unless !defined?(Test::Unit::AutoRunner) || Test::Unit::AutoRunner.run
  File.write(mark, "")
end.call
